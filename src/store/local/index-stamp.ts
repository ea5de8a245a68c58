import { lstatSync, type Stats } from 'node:fs'
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
  const base = lstatSync(index, QUIET)
  const log = lstatSync(`${index}-wal`, QUIET)
  const version = lstatSync(format, QUIET)
  if (base === undefined || version === undefined) return undefined
  const seen = log === undefined || log.size === 0 ? [base, version] : [base, version, log]
  let text = ''
  let changedMs = 0
  for (let i = 0; i < seen.length; i++) {
    const { mtimeMs, ctimeMs, size, ino } = seen[i] as Stats
    text += `${mtimeMs} ${ctimeMs} ${size} ${ino}/`
    changedMs = Math.max(changedMs, mtimeMs, ctimeMs)
  }
  return { text, changedMs }
}

const QUIET = { throwIfNoEntry: false } as const
