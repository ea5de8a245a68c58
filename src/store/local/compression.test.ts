import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { content } from '../content.fixture.ts'
import { type Compression, compressionOf, decode, decodeSync } from './compression.ts'

const text = Buffer.from('the same line over and over\n'.repeat(200))

describe.each(['auto', 1, 9] as const)('compression %s', (setting) => {
  const compression = compressionOf(setting)

  it('compresses what gets smaller by it, so that it can be read back', async () => {
    for (const bytes of [text, content(100_000, 1), Buffer.alloc(128), Buffer.alloc(1 << 20)]) {
      const { codec, stored } = await compression.encode(bytes)
      expect(codec).toBe('zstd')
      expect(stored.length).toBeLessThan(bytes.length * 0.92)
      expect(Buffer.from(decodeSync(codec, stored, bytes.length)).equals(bytes)).toBe(true)
      expect(Buffer.from(await decode(codec, stored, bytes.length)).equals(bytes)).toBe(true)
    }
  })

  it('keeps as it is what is small or does not get smaller, without a copy', async () => {
    for (const bytes of [Buffer.alloc(127), randomBytes(500), randomBytes(100_000)]) {
      const { codec, stored } = await compression.encode(bytes)
      expect(codec).toBe('raw')
      expect(stored).toBe(bytes)
    }
  })

  it('does as the first chunk of a file was done by', async () => {
    const bytes = randomBytes(5000)
    const { codec, stored } = await compression.encode(bytes, 'zstd')
    expect(codec).toBe('zstd')
    expect(Buffer.from(decodeSync(codec, stored, bytes.length)).equals(bytes)).toBe(true)
    expect((await compression.encode(text, 'raw')).stored).toBe(text)
  })
})

describe('decoding', () => {
  it('takes nothing that is not as long as said, or no frame', async () => {
    const { stored } = await compressionOf(1).encode(text)
    for (const length of [text.length - 1, text.length + 1]) {
      expect(() => decodeSync('zstd', stored, length)).toThrow()
      expect(() => decodeSync('raw', text, length)).toThrow()
      await expect(decode('zstd', stored, length)).rejects.toThrow()
    }
    expect(() => decodeSync('zstd', text, text.length)).toThrow()
    await expect(decode('zstd', stored.subarray(0, -1), text.length)).rejects.toThrow()
  })
})

it('is not tried where the look says dense, even if far repetitions would have been found', async () => {
  const block = randomBytes(30_011)
  const thrice = Buffer.concat([block, block, block])
  expect((await compressionOf(1).encode(thrice)).codec).toBe('raw')
})

it.each([0, -1, 20, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses level %d by name', (level) => {
  expect(() => compressionOf(level)).toThrow(expect.objectContaining({ code: 'usage' }))
  expect(() => compressionOf(level)).toThrow(`compression is ${level}`)
})

it('auto takes a higher level once the medium turns out to be slow', async () => {
  const source = readFileSync(new URL('compression.ts', import.meta.url))
  const bytes = Buffer.concat(Array.from({ length: 24 }, (_, i) => Buffer.from(`${i}${source}`))).subarray(0, 1 << 17)
  const [auto, level1, level9] = [compressionOf('auto'), compressionOf(1), compressionOf(9)]
  const lengthBy = async (compression: Compression) => (await compression.encode(bytes)).stored.length
  expect(await lengthBy(auto)).toBe(await lengthBy(level1))
  // A mebibyte makes a sample; then the medium takes a byte a second.
  for (let i = 0; i < 10; i++) await auto.encode(bytes)
  auto.wrote(1 << 20, 1e9)
  expect(await lengthBy(auto)).toBe(await lengthBy(level9))
})

it('off keeps everything as it is', async () => {
  const compression = compressionOf('off')
  expect(await compression.encode(text)).toEqual({ codec: 'raw', stored: text })
})
