import { posix } from 'node:path'
import type { OutputDeclaration } from '../../action/key/keyed-action.ts'
import { clashingOutputs } from '../../action/outputs/output-declarations.ts'
import { isGlob } from '../../action/outputs/output-globs.ts'
import { CacheError } from '../../errors.ts'
import { didYouMean } from '../suggestion.ts'
import type { TaskDocument } from './project.ts'

type Tasks = ReadonlyMap<string, TaskDocument>

/**
 * What the schema cannot say: dependencies exist and do not go in a circle, folders stay in the root, and no two tasks
 * write the same place. Throws `config.invalid` and `config.cycle`.
 */
export async function checkTasks(tasks: Tasks, file: string): Promise<void> {
  for (const [name, task] of tasks) {
    for (const dependency of task.dependsOn ?? []) {
      if (tasks.has(dependency)) continue
      const hint = didYouMean(dependency, tasks.keys())
      throw invalid(`${file}: task ${name} depends on ${dependency}, which is no task.`, hint)
    }
    if (leavesRoot(task.cwd ?? '')) throw invalid(`${file}: the cwd of task ${name} lies outside the root: ${task.cwd}`)
    if (task.command === undefined && (task.outputs ?? []).length > 0) {
      throw invalid(`${file}: task ${name} has outputs and no command.`)
    }
  }
  const cycle = findCycle(tasks)
  if (cycle !== undefined) {
    throw new CacheError('config.cycle', `${file}: tasks depend on each other in a circle: ${cycle.join(' → ')}`, {
      hint: 'Take one of these out of a dependsOn.',
    })
  }
  await checkOutputs(tasks, file)
}

/** The names along a circle, the first one again at the end; undefined when there is none. */
export function findCycle(tasks: Tasks): readonly string[] | undefined {
  const done = new Set<string>()
  const path: string[] = []
  const visit = (name: string): readonly string[] | undefined => {
    const start = path.indexOf(name)
    if (start !== -1) return [...path.slice(start), name]
    if (done.has(name)) return undefined
    path.push(name)
    for (const dependency of tasks.get(name)?.dependsOn ?? []) {
      const cycle = visit(dependency)
      if (cycle !== undefined) return cycle
    }
    path.pop()
    done.add(name)
    return undefined
  }
  for (const name of tasks.keys()) {
    const cycle = visit(name)
    if (cycle !== undefined) return cycle
  }
  return undefined
}

/** Two tasks that write one place would undo each other's restores. */
async function checkOutputs(tasks: Tasks, file: string): Promise<void> {
  const claims = [...tasks].map(([task, { outputs = [], cwd = '' }]) => ({
    task,
    outputs: outputs.map((output) => declarationOf(output, cwd)),
  }))
  for (const [i, a] of claims.entries()) {
    for (const b of claims.slice(i + 1)) {
      const clash = await clashingOutputs(a.outputs, b.outputs)
      if (clash === undefined) continue
      const [one, other] = clash
      throw invalid(
        `${file}: tasks ${a.task} and ${b.task} have ${relationOf(one, other)}: ${one.path} and ${other.path}.`,
        'Give each task a place of its own.',
      )
    }
  }
}

function relationOf(one: OutputDeclaration, other: OutputDeclaration): string {
  if (one.path === other.path) return 'the same output'
  const areGlobs = one.kind === 'glob' && other.kind === 'glob'
  return areGlobs ? 'outputs that may be the same file' : 'outputs one inside the other'
}

/** Relative to the root. Whether it may be an output at all is said when the task is run. */
function declarationOf(output: string, cwd: string): OutputDeclaration {
  const kind = isGlob(output) ? 'glob' : 'path'
  const written = kind === 'glob' ? output : output.replace(/\\(.)/g, '$1')
  return { kind, path: posix.join('/', cwd, written).slice(1).replace(/\/+$/, '') }
}

function leavesRoot(path: string): boolean {
  return posix.isAbsolute(path) || posix.normalize(path).split('/')[0] === '..'
}

function invalid(message: string, hint?: string): CacheError {
  return new CacheError('config.invalid', message, hint === undefined ? {} : { hint })
}
