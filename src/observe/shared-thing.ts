import { basename } from 'node:path'
import { sha256Hex } from '../digest/sha256.ts'
import type { NamedRun } from './thing.ts'

/**
 * As {@link thingOf}, by a name that all machines give it that have the project in a folder of the same name. A hash, since
 * others see it.
 */
export function sharedThingOf({ root, workingDirectory, task, argv }: NamedRun): string {
  const project = basename(root)
  return sha256Hex(JSON.stringify(task === undefined ? [project, workingDirectory, ...argv] : [project, { task }]))
}
