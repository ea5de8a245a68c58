import { type EntryShape, SMALL } from './entries.ts'

/** Blobs in the index, in packs, and in a file of their own. */
export const MIXED: EntryShape = { ...SMALL, files: 4, fileBytes: 30_000, largeBytes: 1_100_000 }

/** Entries that are in the store before. */
export const OLD: readonly string[] = ['old-0', 'old-1', 'old-2', 'old-3']

/** A file with the large output of that entry, beside the store. */
export function sourceOf(store: string, name: string): string {
  return `${store}.${name}`
}
