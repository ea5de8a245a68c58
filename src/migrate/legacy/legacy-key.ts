import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { configJson, type LegacyTask } from './legacy-task.ts'
import { matchingFiles } from './legacy-walk.ts'

export interface LegacyKey {
  /** 64 lower-case hex digits. */
  readonly key: string
  /** The text of `hashes/<key>.json`: what went into the key. The old tool wrote it at every look-up and never read it. */
  readonly manifest: string
}

export interface LegacyInput {
  /** Working directory and relative path, joined. */
  readonly file: string
  readonly content: Uint8Array
}

/** The key of a task by the files that match its `inputs`. Throws the system's error for one that cannot be read, as the old tool ended the task. */
export function legacyKey(task: LegacyTask): LegacyKey {
  return legacyKeyOf(task, inputsOf(task))
}

/**
 * One SHA-256 over pieces of JSON and the bytes of the inputs, with nothing in between: neither the inputs' paths nor
 * their lengths are in it, nor the environment.
 */
export function legacyKeyOf({ name, workingDir, config }: LegacyTask, found: Iterable<LegacyInput>): LegacyKey {
  const hash = createHash('sha256')
  const inputs: string[] = []
  const files: Record<string, string> = {}
  const identity = config.cacheKey === undefined ? configJson(config) : JSON.stringify(config.cacheKey)
  for (const piece of ['"cuenv_cache_v1"', '1', JSON.stringify(workingDir), JSON.stringify(name), identity]) {
    hash.update(piece)
    inputs.push(`content:${Buffer.byteLength(piece)}`)
  }
  for (const { file, content } of found) {
    hash.update(content)
    inputs.push(`file:${file}`)
    files[file] = createHash('sha256').update(content).digest('hex')
  }
  return { key: hash.digest('hex'), manifest: JSON.stringify({ label: `task:${name}`, inputs, files }, null, 2) }
}

function* inputsOf({ workingDir, config }: LegacyTask): Generator<LegacyInput> {
  for (const relative of config.inputs === undefined ? [] : matchingFiles(workingDir, config.inputs)) {
    const file = path.join(workingDir, relative)
    yield { file, content: readFileSync(file) }
  }
}
