import type { Codec } from './segment.ts'

/** First line of the FORMAT file, the number of the format after it. */
export const FORMAT_PREFIX = 'recue cache, format '
export const FORMAT_VERSION = 1

/** Everything of ours in a cache folder. Nothing else in it is ever touched. */
export interface Layout {
  readonly dir: string
  readonly format: string
  readonly tag: string
  readonly index: string
  readonly journal: string
  readonly blobs: string
  readonly tmp: string
  readonly trash: string
  /** Files that did not check out, kept for a look at them until the collector takes them. */
  readonly damaged: string
  /** Files with the content of blobs, for tools that take a path instead of bytes: see `lent-files.ts`. */
  readonly lent: string
  readonly locks: string
}

export function layoutOf(dir: string): Layout {
  return {
    dir,
    format: `${dir}/FORMAT`,
    tag: `${dir}/CACHEDIR.TAG`,
    index: `${dir}/index.db`,
    journal: `${dir}/journal`,
    blobs: `${dir}/blobs`,
    tmp: `${dir}/tmp`,
    trash: `${dir}/trash`,
    damaged: `${dir}/damaged`,
    lent: `${dir}/lent`,
    locks: `${dir}/locks`,
  }
}

export function segmentPath(layout: Layout, segment: number): string {
  return `${layout.journal}/${String(segment).padStart(8, '0')}.seg`
}

/** The number of a segment from its file name, or undefined for other files. */
export function segmentOfName(name: string): number | undefined {
  return /^\d{8,}\.seg$/.test(name) ? Number.parseInt(name, 10) : undefined
}

/** The lease that the writer of a segment holds as long as it may write to it. */
export function segmentLease(segment: number): string {
  return `segment-${segment}`
}

/** A large blob's file; the name says how to read it, so that it can be salvaged without the journal. */
export function blobPath(layout: Layout, hash: string, codec: Codec): string {
  return `${layout.blobs}/${hash.slice(0, 2)}/${hash}${codec === 'zstd' ? '.zst' : ''}`
}

/** What a large blob's file is called while it is written; the segment is its writer's, whose lease says whether it lives. */
export function stagingPath(layout: Layout, segment: number, counter: number): string {
  return `${layout.tmp}/blob-${segment}-${counter}`
}

/** The segment of the writer of a staging file, or undefined for other files. */
export function segmentOfStaging(name: string): number | undefined {
  const match = /^blob-(\d+)-\d+$/.exec(name)
  return match === null ? undefined : Number(match[1])
}
