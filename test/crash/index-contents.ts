import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type IndexDb, openIndexDb } from '../../src/store/local/index-db.ts'
import { createTables } from '../../src/store/local/index-schema.ts'
import { blobPath, layoutOf, segmentPath } from '../../src/store/local/layout.ts'
import { rebuildIndex, segmentsOf } from '../../src/store/local/rebuild.ts'
import { indexedBytes } from '../../src/store/local/recover.ts'
import { decodeActionRow, decodeBlobPlace } from '../../src/store/local/rows.ts'
import { scanSegment } from '../../src/store/local/salvage.ts'

/** What an index says, without what are only hints: blobs with their size, actions with their result. */
export interface IndexContents {
  readonly blobs: ReadonlyMap<string, string>
  readonly actions: ReadonlyMap<string, string>
}

export function contentsOf(dir: string): IndexContents {
  using index = openIndexDb(layoutOf(dir).index, { readOnly: false, durability: 'fast' })
  return readContents(index)
}

/** What an index would say that is made from the journal and the files in `blobs/` alone. */
export async function rebuiltContents(dir: string): Promise<IndexContents> {
  const folder = mkdtempSync(join(tmpdir(), 'recue-rebuilt-'))
  try {
    using index = openIndexDb(join(folder, 'index.db'), { readOnly: false, durability: 'fast' })
    await createTables(index)
    await rebuildIndex(index, layoutOf(dir))
    return readContents(index)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Every byte of the journal is of a record that the index has been told of, and every file in `blobs/` has its row. */
export function expectAccounted(dir: string): void {
  const layout = layoutOf(dir)
  using index = openIndexDb(layout.index, { readOnly: false, durability: 'fast' })
  for (const segment of segmentsOf(layout)) {
    const path = segmentPath(layout, segment)
    const found = [...scanSegment(path, segment)]
    const bytes = found.reduce((sum, { place }) => sum + place.recordBytes, 0)
    expect([bytes, indexedBytes(index, segment)], path).toEqual([statSync(path).size, statSync(path).size])
  }
  const rows = index.sql('SELECT hash, place FROM blobs').all() as [Uint8Array, Uint8Array][]
  const named = rows.flatMap(([hash, value]) => {
    const place = decodeBlobPlace(hash, value)
    return place?.kind === 'file' ? [blobPath(layout, Buffer.from(hash).toString('hex'), place.codec)] : []
  })
  expect(blobFiles(layout.blobs)).toEqual(named.sort())
}

function blobFiles(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .sort()
}

function readContents(index: IndexDb): IndexContents {
  const blobs = index.sql('SELECT hash, place FROM blobs').all() as [Uint8Array, Uint8Array][]
  const actions = index.sql('SELECT key, value FROM actions').all() as [Uint8Array, Uint8Array][]
  return {
    blobs: new Map(
      blobs.map(([hash, value]) => {
        const place = decodeBlobPlace(hash, value)
        return [Buffer.from(hash).toString('hex'), `${place?.kind === 'file'} ${place?.sizeBytes}`]
      }),
    ),
    actions: new Map(
      actions.map(([key, value]) => [Buffer.from(key).toString('hex'), `${decodeActionRow(key, value)?.resultHash}`]),
    ),
  }
}
