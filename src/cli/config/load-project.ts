import { basename, relative } from 'node:path'
import type { Witness } from '../../action/witness.ts'
import type { WorkspaceRecords } from '../../store/contracts.ts'
import { identityOf, loadCompiledCopy, saveCompiledCopy } from './compiled-copy.ts'
import type { ConfigDocument, Project, TaskDocument } from './project.ts'

export interface LoadOptions {
  /** Where the compiled copy is; undefined when no store can be used. */
  readonly records: WorkspaceRecords | undefined
  /** Whether a config that is code may be run. */
  readonly evaluate: boolean
  /** Messages name the file relative to this folder. */
  readonly cwd: string
  readonly witness?: Witness | undefined
}

/**
 * The config at `file`, checked. Undefined when the file has none (a package.json without the key), and for code that may
 * not be run and has no fresh copy. Throws `config.invalid` and `config.cycle`.
 */
export async function loadProject(file: string, options: LoadOptions): Promise<Project | undefined> {
  const { records } = options
  const copy = records === undefined ? undefined : loadCompiledCopy(records, file)
  if (copy !== undefined) return copy === null ? undefined : projectOf(file, copy)
  options.witness?.unsure()
  const isCode = !file.endsWith('.json')
  if (isCode && !options.evaluate) return undefined
  const takenAtMs = Date.now()
  const identity = identityOf(file)
  const { document, isKeepable } = await read(file, isCode, messageName(file, options.cwd))
  if (document !== undefined) {
    const { checkTasks } = await import('./check-tasks.ts')
    await checkTasks(projectOf(file, document).tasks, messageName(file, options.cwd))
  }
  if (records !== undefined && identity !== undefined && isKeepable) {
    await saveCompiledCopy(records, file, { identity, takenAtMs }, document)
  }
  return document === undefined ? undefined : projectOf(file, document)
}

async function read(
  file: string,
  isCode: boolean,
  name: string,
): Promise<{ document: ConfigDocument | undefined; isKeepable: boolean }> {
  if (isCode) {
    const { dependsOnItselfAlone, evaluateConfig } = await import('./evaluate.ts')
    return { document: await evaluateConfig(file, name), isKeepable: dependsOnItselfAlone(file) }
  }
  const { readJsonConfig } = await import('./read-json.ts')
  const under = basename(file) === 'package.json' ? 'recue' : undefined
  return { document: readJsonConfig({ file, name, kind: 'project', under }), isKeepable: true }
}

function projectOf(file: string, document: ConfigDocument): Project {
  return { file, document, tasks: new Map<string, TaskDocument>(Object.entries(document.tasks ?? {})) }
}

function messageName(file: string, cwd: string): string {
  const path = relative(cwd, file)
  return path.startsWith('..') ? file : path
}
