import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from '../digest/crc32.ts'
import { crc32c } from '../digest/crc32c.ts'
import type { Digest } from '../digest/digest.ts'
import { digestOf } from '../digest/sha256.ts'
import { action, result } from '../store/action-store.contract.ts'
import { content } from '../store/content.fixture.ts'
import { DEFAULT_SCOPE } from '../store/contracts.ts'
import { layoutOf, segmentPath } from '../store/local/layout.ts'
import { openLocalStore } from '../store/local/local-store.ts'
import { keep } from '../store/local/temporary-store.fixture.ts'

export const SMALL = content(100, 1)
/** Does not compress. */
export const MIDDLE: Buffer = createHash('shake256', { outputLength: 40_000 }).update('middle').digest()
export const LARGE = content(2_500_000, 3)

/** Result `a` has all three, `b` the small one, `c` the middle one. */
export async function fill(dir: string): Promise<void> {
  // One after the other, so that each has a record of its own.
  await using store = await openLocalStore({ dir })
  for (const bytes of [SMALL, MIDDLE, LARGE]) await keep(store, bytes)
  const [small, middle, large] = [SMALL, MIDDLE, LARGE].map(digestOf) as [Digest, Digest, Digest]
  await store.actions.put(DEFAULT_SCOPE, action('a'), result([small, middle, large]))
  await store.actions.put(DEFAULT_SCOPE, action('b'), result([small]))
  await store.actions.put(DEFAULT_SCOPE, action('c'), result([middle]))
  await store.records.save('restore', 'here', Buffer.from('half restored'))
}

export async function hits(dir: string): Promise<string[]> {
  await using store = await openLocalStore({ dir })
  const found: string[] = []
  for (const name of ['a', 'b', 'c'])
    if ((await store.actions.get(DEFAULT_SCOPE, action(name))).kind === 'hit') found.push(name)
  return found
}

export function largeFile(dir: string): string {
  const { blobs } = layoutOf(dir)
  const { hash } = digestOf(LARGE)
  const name = readdirSync(blobs, { recursive: true, encoding: 'utf8' }).find((path) => path.includes(hash))
  return join(blobs, String(name))
}

/** Changes bytes of the middle blob in the journal, which does not compress, and makes the checksums right again. */
export function forge(dir: string): void {
  const path = segmentPath(layoutOf(dir), 1)
  const bytes = readFileSync(path)
  const at = bytes.indexOf(MIDDLE.subarray(0, 64))
  const start = bytes.lastIndexOf('RCU1', at)
  const headBytes = bytes.readUInt32LE(start + 8)
  const head = bytes.subarray(start + 32, start + 32 + headBytes)
  const body = bytes.subarray(start + 32 + headBytes, start + 32 + headBytes + bytes.readUInt32LE(start + 12))
  body[100] = (body[100] as number) ^ 1
  bytes.writeUInt32LE(bytes[start + 6] === 1 ? crc32(body) : crc32c(body), start + 24)
  bytes.writeUInt32LE(crc32c(head, crc32c(bytes.subarray(start, start + 28))), start + 28)
  writeFileSync(path, bytes)
}

export function change(path: string, at: number, length: number): void {
  const bytes = readFileSync(path)
  for (let i = at; i < at + length; i++) bytes[i] = (bytes[i] as number) ^ 0xa5
  writeFileSync(path, bytes)
}
