import { posix } from 'node:path'
import { CacheError } from '../../errors.ts'
import { didYouMean } from '../suggestion.ts'
import type { TaskDocument } from './project.ts'

type Tasks = ReadonlyMap<string, TaskDocument>

/**
 * What the schema cannot say: dependencies exist and do not go in a circle, folders stay in the root, and no two tasks
 * write the same place. Throws `config.invalid` and `config.cycle`.
 */
export function checkTasks(tasks: Tasks, file: string): void {
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
  checkOutputs(tasks, file)
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
function checkOutputs(tasks: Tasks, file: string): void {
  const claims: { task: string; output: string; path: string; isGlob: boolean }[] = []
  for (const [task, { outputs = [], cwd = '' }] of tasks) {
    for (const output of outputs) {
      const path = posix.join('/', cwd, output).replace(/\/+$/, '')
      claims.push({ task, output, path, isGlob: /[*?[{]/.test(output) })
    }
  }
  for (const [i, a] of claims.entries()) {
    for (const b of claims.slice(i + 1)) {
      if (a.task === b.task || !(a.path === b.path || isWithin(a, b) || isWithin(b, a))) continue
      const relation = a.path === b.path ? 'the same output' : 'outputs one inside the other'
      throw invalid(
        `${file}: tasks ${a.task} and ${b.task} have ${relation}: ${a.output} and ${b.output}.`,
        'Give each task a place of its own.',
      )
    }
  }
}

/** Of a glob the folders before its first special character are certain. */
function isWithin(inner: { path: string }, outer: { path: string; isGlob: boolean }): boolean {
  return !outer.isGlob && inner.path.startsWith(`${outer.path}/`)
}

function leavesRoot(path: string): boolean {
  return posix.isAbsolute(path) || posix.normalize(path).split('/')[0] === '..'
}

function invalid(message: string, hint?: string): CacheError {
  return new CacheError('config.invalid', message, hint === undefined ? {} : { hint })
}
