import { readFileSync } from 'node:fs'
import { systemCode } from '../errors.ts'
import { CACHEDIR_TAG } from '../store/local/adopt.ts'
import { FORMAT_PREFIX, FORMAT_VERSION, type Layout, segmentPath } from '../store/local/layout.ts'
import { segmentsOf } from '../store/local/rebuild.ts'
import { scanSegment } from '../store/local/salvage.ts'
import type { Fault } from './fault.ts'

/** What `FORMAT` and `CACHEDIR.TAG` should say. */
export function folderTexts(layout: Layout): readonly { readonly path: string; readonly text: string }[] {
  return [
    { path: layout.format, text: `${FORMAT_PREFIX}${FORMAT_VERSION}\n` },
    { path: layout.tag, text: CACHEDIR_TAG },
  ]
}

/**
 * The two small files that say whose folder this is. They can be written anew where the journal shows that it is ours; a
 * `FORMAT` that names a newer version may be right, and is left.
 */
export function inspectFolder(layout: Layout): Fault[] {
  const wrong = folderTexts(layout).filter(({ path, text }) => textOf(path) !== text)
  if (wrong.length === 0) return []
  const isOurs = hasRecords(layout)
  return wrong.map(({ path }) => ({ kind: 'folder', file: path, isMendable: isOurs && !isNewer(layout, path) }))
}

function isNewer(layout: Layout, path: string): boolean {
  const text = path === layout.format ? (textOf(path) ?? '') : ''
  return text.startsWith(FORMAT_PREFIX) && Number.parseInt(text.slice(FORMAT_PREFIX.length), 10) > FORMAT_VERSION
}

function hasRecords(layout: Layout): boolean {
  try {
    return segmentsOf(layout).some((segment) => {
      for (const _ of scanSegment(segmentPath(layout, segment), segment)) return true
      return false
    })
  } catch (error) {
    if (systemCode(error) === undefined) throw error
    return false
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    if (systemCode(error) === undefined) throw error
    return undefined
  }
}
