import { lstatSync, type Stats } from 'node:fs'
import { systemCode } from '../../errors.ts'

/** What is at a path, links not followed; undefined when nothing is, or when a name on the way is no folder. */
export function lookAt(absolute: string): Stats | undefined {
  try {
    return lstatSync(absolute, { throwIfNoEntry: false })
  } catch (error) {
    if (systemCode(error) === 'ENOTDIR') return undefined
    throw error
  }
}
