import {
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { basename, join, relative } from 'node:path'
import fc from 'fast-check'
import { scanSegment } from '../../src/store/local/salvage.ts'

/** One thing that happens to one file of a store; numbers are taken modulo what there is, so any will do. */
export interface Damage {
  readonly kind:
    | 'flip'
    | 'zero'
    | 'noise'
    | 'swap'
    | 'duplicate'
    | 'older'
    | 'truncate'
    | 'grow'
    | 'delete'
    | 'exchange'
  readonly file: number
  readonly at: number
  readonly other: number
  readonly length: number
  /** Ranges of any bytes, of whole pages of SQLite, or of whole records of the journal. */
  readonly unit: 'byte' | 'page' | 'record'
}

const CONTENTS = ['flip', 'zero', 'noise', 'swap', 'duplicate', 'older'] as const
const FILES = ['truncate', 'grow', 'delete', 'exchange'] as const

/** `contents`: what may happen under a running process; `any`: to a store that nobody has open. */
export function damages(what: 'contents' | 'any'): fc.Arbitrary<Damage> {
  const number = fc.nat(2 ** 30)
  return fc.record({
    kind: fc.constantFrom(...CONTENTS, ...(what === 'any' ? FILES : [])),
    file: fc.nat(999),
    at: number,
    other: number,
    length: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 20_000 })),
    unit: fc.constantFrom('byte', 'page', 'record'),
  })
}

/** The files that can be damaged, in an order that is the same in every copy of the store. */
export function targetsIn(dir: string, matching: RegExp = /./): string[] {
  const names = readdirSync(dir, { recursive: true, withFileTypes: true })
  const files = names
    .filter((entry) => entry.isFile())
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)))
  return files.filter((name) => matching.test(name)).sort()
}

export interface Inflicting {
  /** The same store as it was earlier. */
  readonly olderDir: string
  readonly matching?: RegExp
  /** Sizes stay as they are: the store is open somewhere. */
  readonly keepsSizes?: boolean
}

/** Does it, and says to which file. */
export function inflict(dir: string, damage: Damage, { olderDir, matching, keepsSizes = false }: Inflicting): string {
  const targets = targetsIn(dir, matching)
  const name = targets[damage.file % targets.length] as string
  const path = join(dir, name)
  const before = readFileSync(path)
  if (damage.kind === 'delete') rmSync(path)
  else if (damage.kind === 'truncate') rewrite(path, before.subarray(0, damage.at % (before.length + 1)))
  else if (damage.kind === 'exchange') exchange(path, join(dir, targets[damage.other % targets.length] as string))
  else if (damage.kind === 'older' && !keepsSizes) older(path, join(olderDir, name))
  else rewrite(path, changed(path, before, damage, join(olderDir, name)))
  const other = damage.kind === 'exchange' ? ` with ${targets[damage.other % targets.length]}` : ''
  return `${damage.kind} in ${name}${other} (${before.length} bytes)`
}

function exchange(path: string, other: string): void {
  const [mine, theirs] = [readFileSync(path), readFileSync(other)]
  rewrite(path, theirs)
  rewrite(other, mine)
}

function older(path: string, from: string): void {
  if (existsSync(from)) copyFileSync(from, path)
  else rmSync(path)
}

/** In place, as a failing disk or a stray writer does it: the file stays the one that others have open. */
function rewrite(path: string, bytes: Buffer): void {
  const file = openSync(path, 'r+')
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, at)
  ftruncateSync(file, bytes.length)
  closeSync(file)
}

function changed(path: string, before: Buffer, damage: Damage, olderPath: string): Buffer {
  if (before.length === 0) return before
  if (damage.kind === 'grow') return Buffer.concat([before, noise(damage.at, damage.length)])
  if (damage.kind === 'older') {
    const bytes = existsSync(olderPath) ? readFileSync(olderPath).subarray(0, before.length) : Buffer.alloc(0)
    return Buffer.concat([bytes, before.subarray(bytes.length)])
  }
  const [a, b] = rangesOf(path, before, damage)
  if (damage.kind === 'swap') return swapped(before, a, b)
  const bytes = Buffer.from(before)
  if (damage.kind === 'flip') bytes[a.start] = (bytes[a.start] as number) ^ (1 << (damage.other % 8))
  else if (damage.kind === 'zero') bytes.fill(0, a.start, a.end)
  else if (damage.kind === 'noise') noise(damage.other, a.end - a.start).copy(bytes, a.start)
  else before.copy(bytes, b.start, a.start, a.end)
  return bytes
}

interface Range {
  readonly start: number
  readonly end: number
}

function rangesOf(path: string, bytes: Buffer, { at, other, length, unit }: Damage): [Range, Range] {
  const records = unit === 'record' && path.endsWith('.seg') ? recordsOf(path) : []
  if (records.length > 0) return [records[at % records.length] as Range, records[other % records.length] as Range]
  const step = unit === 'page' ? 8192 : 1
  const whole = unit === 'page' ? 8192 : length
  const range = (from: number) => {
    const start = Math.floor((from % bytes.length) / step) * step
    return { start, end: Math.min(start + whole, bytes.length) }
  }
  return [range(at), range(other)]
}

function recordsOf(path: string): Range[] {
  return [...scanSegment(path, Number.parseInt(basename(path), 10))].map(({ place }) => ({
    start: place.offset,
    end: place.offset + place.recordBytes,
  }))
}

/** Also where they are not of one length: what lies between them moves. Ranges that overlap stay. */
function swapped(bytes: Buffer, one: Range, two: Range): Buffer {
  const [a, b] = one.start <= two.start ? [one, two] : [two, one]
  if (a.end > b.start) return bytes
  const part = (start: number, end?: number) => bytes.subarray(start, end)
  return Buffer.concat([
    part(0, a.start),
    part(b.start, b.end),
    part(a.end, b.start),
    part(a.start, a.end),
    part(b.end),
  ])
}

function noise(seed: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  let state = seed | 1
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}
