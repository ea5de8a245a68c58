import { lstatSync } from 'node:fs'
import { layoutOf } from './layout.ts'

export interface IndexStamp {
  /** Another one when anything in the index was changed, or the format of the folder. */
  readonly text: string
  /** Unix time in milliseconds of the last change. */
  readonly changedMs: number
}

/**
 * By the looks of its files, without opening it: what the index said it says still, as long as the stamp is the same and was
 * taken some time after its last change. Undefined where there is no index. Whoever reads the index has an empty log beside it.
 */
export function indexStamp(dir: string): IndexStamp | undefined {
  const { index, format } = layoutOf(dir)
  const [base, log, version] = [index, `${index}-wal`, format].map((path) => lstatSync(path, { throwIfNoEntry: false }))
  if (base === undefined || version === undefined) return undefined
  let text = ''
  let changedMs = 0
  for (const stats of log === undefined || log.size === 0 ? [base, version] : [base, version, log]) {
    text += `${stats.mtimeMs} ${stats.ctimeMs} ${stats.size} ${stats.ino}/`
    changedMs = Math.max(changedMs, stats.mtimeMs, stats.ctimeMs)
  }
  return { text, changedMs }
}
