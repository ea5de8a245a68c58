import { expect, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import { verified } from './verified.ts'

const MIB = 1 << 20
const wrong = (what: string) => new CacheError('store.corrupt', what)
const NOWHERE = '/nowhere/at/all'

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += MIB) yield bytes.subarray(at, at + MIB)
}

async function whole(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of bytes) all.push(piece)
  return Buffer.concat(all)
}

test('up to 8 MiB wait in memory, more in a file', async () => {
  const small = Buffer.alloc(8 * MIB, 'a')
  const part = { offset: 3 * MIB - 1, length: 2 }
  expect(await whole(verified(pieces(small), digestOf(small), { ...part, tmpDir: NOWHERE, wrong }))).toHaveLength(2)
  const large = Buffer.alloc(8 * MIB + 1, 'a')
  large.write('bc', part.offset)
  await expect(whole(verified(pieces(large), digestOf(large), { tmpDir: NOWHERE, wrong }))).rejects.toThrow(/ENOENT/)
  expect((await whole(verified(pieces(large), digestOf(large), { ...part, wrong }))).toString()).toBe('bc')
  expect(large.equals(await whole(verified(pieces(large), digestOf(large), { wrong })))).toBe(true)
})

test.each([2 * MIB, 9 * MIB])('no byte of %i is handed out where the last is another', async (bytes) => {
  const blob = Buffer.alloc(bytes, 'a')
  const other = Buffer.from(blob)
  other[bytes - 1] = 0
  const handedOut = verified(pieces(other), digestOf(blob), { wrong })
  await expect(handedOut.next()).rejects.toMatchObject({ code: 'store.corrupt' })
})

test('what waits in memory is 32 MiB at most; the rest waits in files until some of it is taken', async () => {
  const blob = Buffer.alloc(8 * MIB)
  const digest = digestOf(blob)
  const open = () => verified(pieces(blob), digest, { tmpDir: NOWHERE, wrong })
  const held = [open(), open(), open(), open()]
  for (const one of held) await one.next()
  await expect(whole(open())).rejects.toThrow(/ENOENT/)
  const small = Buffer.alloc(MIB)
  expect(await whole(verified(pieces(small), digestOf(small), { tmpDir: NOWHERE, wrong }))).toHaveLength(MIB)
  await held[0]?.return(undefined)
  expect(await whole(open())).toHaveLength(8 * MIB)
  for (const one of held) await one.return(undefined)
})
