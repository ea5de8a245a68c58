import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { statIdentity } from './stat-identity.ts'
import { type SnapshotEntry, TreeSnapshot } from './tree-snapshot.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'recue-snapshot-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function write(path: string, text: string): void {
  writeFileSync(join(folder, path), text)
}

function entryOf(path: string): SnapshotEntry {
  const stats = existsSync(join(folder, path)) ? lstatSync(join(folder, path)) : undefined
  return { path, identity: stats && statIdentity(stats), hash: undefined }
}

const settled = { takenAtMs: Number.POSITIVE_INFINITY, id: 1, head: new Uint8Array(0) }

describe('nextChange', () => {
  function snapshotOf(...paths: string[]): TreeSnapshot {
    return TreeSnapshot.of(paths.map(entryOf), settled)
  }

  test('finds nothing when nothing changed', () => {
    write('a', 'a')
    mkdirSync(join(folder, 'b'))
    expect(snapshotOf('a', 'b', 'absent', 'a/below a file').nextChange(`${folder}/`)).toBe(-1)
  })

  const changes: Record<string, () => void> = {
    'other content of the same size and times': () => {
      const { atime, mtime } = lstatSync(join(folder, 'b'))
      write('b', 'B')
      utimesSync(join(folder, 'b'), atime, mtime)
    },
    'another size': () => write('b', 'bb'),
    'another mode': () => chmodSync(join(folder, 'b'), 0o600),
    'a removed file': () => rmSync(join(folder, 'b')),
    'a folder in its place': () => {
      rmSync(join(folder, 'b'))
      mkdirSync(join(folder, 'b'))
    },
  }
  test.each(Object.entries(changes))('finds %s', (_, change) => {
    for (const path of ['a', 'b', 'c']) write(path, path)
    const snapshot = snapshotOf('a', 'b', 'c')
    change()
    expect(snapshot.nextChange(`${folder}/`)).toBe(1)
    expect(snapshot.nextChange(`${folder}/`, 2)).toBe(-1)
  })

  test('finds what came where nothing was', () => {
    const snapshot = snapshotOf('absent')
    write('absent', '')
    expect(snapshot.nextChange(`${folder}/`)).toBe(0)
  })

  test('never trusts what was stamped just before it was looked at', () => {
    write('a', 'a')
    const snapshot = TreeSnapshot.of([entryOf('a')], { ...settled, takenAtMs: Date.now() })
    expect(snapshot.nextChange(`${folder}/`)).toBe(0)
    expect(snapshot.matches(0, entryOf('a').identity as never)).toBe(false)
  })
})

describe('records', () => {
  const hashes = fc.option(
    fc.uint8Array({ minLength: 32, maxLength: 32 }).map((b) => Buffer.from(b).fill(1, 0, 1).toString('hex')),
    { nil: undefined },
  )
  const entries = fc.uniqueArray(
    fc.record({
      path: fc.string({ unit: 'grapheme', minLength: 1 }).map((text) => text.replaceAll('\0', '-')),
      identity: fc.option(
        fc.record({
          mtimeMs: fc.double({ min: 1, max: 2e12, noNaN: true }),
          ctimeMs: fc.double({ min: 1, max: 2e12, noNaN: true }),
          size: fc.nat(),
          ino: fc.nat(),
          mode: fc.nat(0o177777),
        }),
        { nil: undefined },
      ),
      hash: hashes,
    }),
    { selector: (entry) => entry.path },
  )

  test('give back what was put in', () => {
    fc.assert(
      fc.property(entries, fc.uint8Array(), fc.double({ noNaN: true }), (given, head, id) => {
        const encoded = TreeSnapshot.of(given, { ...settled, head, id }).encode()
        const decoded = TreeSnapshot.decode(encoded.stats) as TreeSnapshot
        expect(decoded.hash(0)).toBeUndefined()
        expect(decoded.attachDigests(encoded.digests)).toBe(true)
        expect(Buffer.from(decoded.head)).toEqual(Buffer.from(head))
        const seen = decoded.paths.map((path, i) => ({ path, identity: decoded.identity(i), hash: decoded.hash(i) }))
        expect(seen).toEqual(given)
        given.forEach(({ identity }, i) => void (identity && expect(decoded.matches(i, identity)).toBe(true)))
      }),
    )
  })

  test('of two snapshots are never mixed', () => {
    const one = TreeSnapshot.of([entryOf('x')], { ...settled, id: 1 })
    const other = TreeSnapshot.of([entryOf('x')], { ...settled, id: 2 })
    const decoded = TreeSnapshot.decode(one.encode().stats) as TreeSnapshot
    expect(decoded.attachDigests(other.encode().digests)).toBe(false)
    expect(decoded.attachDigests(undefined)).toBe(false)
    expect(decoded.hasDigests).toBe(false)
  })

  test('that were cut short, or are something else, are none', () => {
    const { stats } = TreeSnapshot.of([entryOf('x'), entryOf('y')], settled).encode()
    for (let length = 0; length < stats.length; length++)
      expect(TreeSnapshot.decode(stats.subarray(0, length))).toBeUndefined()
    expect(TreeSnapshot.decode(Buffer.concat([stats, Buffer.of(0)]))).toBeUndefined()
  })
})
