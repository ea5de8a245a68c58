import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Bytes } from '../../store/contracts.ts'
import { StreamCapture } from './stream-capture.ts'
import { StreamOrder } from './stream-order.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'recue-capture-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function whole(bytes: Bytes): Promise<Buffer> {
  if (bytes instanceof Uint8Array) return Buffer.from(bytes)
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(chunk)
  return Buffer.concat(chunks)
}

test('what is small stays in memory, in its order', async () => {
  using capture = new StreamCapture(join(folder, 'tmp'))
  capture.add('stdout', Buffer.from('ab'))
  capture.add('stdout', Buffer.from('c'))
  capture.add('stderr', Buffer.from('x'))
  capture.add('stdout', Buffer.from('d'))
  expect(capture.order()).toEqual([3, -1, 1])
  expect(String(await whole(capture.stdout.bytes()))).toBe('abcd')
  expect(String(await whole(capture.stderr.bytes()))).toBe('x')
  expect(readdirSync(folder)).toEqual([])
})

test('what is large goes to files that have no name, and is read back byte for byte, more than once', async () => {
  using capture = new StreamCapture(join(folder, 'tmp'), { memoryBytes: 100 })
  const out: Buffer[] = []
  const err: Buffer[] = []
  for (let i = 0; i < 200; i++) {
    const piece = Buffer.alloc(7 + (i % 5), i)
    const isOut = i % 3 !== 0
    ;(isOut ? out : err).push(piece)
    capture.add(isOut ? 'stdout' : 'stderr', piece)
  }
  expect(capture.failure).toBeUndefined()
  expect(readdirSync(join(folder, 'tmp'))).toEqual([])
  for (let again = 0; again < 2; again++) {
    expect(await whole(capture.stdout.bytes())).toEqual(Buffer.concat(out))
    expect(await whole(capture.stderr.bytes())).toEqual(Buffer.concat(err))
  }
  expect(capture.stdout.sizeBytes).toBe(Buffer.concat(out).length)
})

test('a folder that cannot be written to is a failure that is told, not thrown', () => {
  writeFileSync(join(folder, 'tmp'), 'a file')
  using capture = new StreamCapture(join(folder, 'tmp'), { memoryBytes: 10 })
  capture.add('stdout', Buffer.alloc(11))
  capture.add('stdout', Buffer.alloc(11))
  expect(capture.failure).toBeInstanceOf(Error)
})

test('what is too long is let go at once, and no more is taken', () => {
  const openFiles = () => readdirSync('/proc/self/fd').length
  using capture = new StreamCapture(join(folder, 'tmp'), { memoryBytes: 10, mostBytes: 100 })
  const before = openFiles()
  for (let i = 0; i < 5; i++) capture.add(i % 2 === 0 ? 'stdout' : 'stderr', Buffer.alloc(20))
  expect(capture.isTooLong).toBe(false)
  expect(openFiles()).toBe(before + 2)
  capture.add('stdout', Buffer.alloc(1))
  expect(capture.isTooLong).toBe(true)
  expect(openFiles()).toBe(before)
  capture.add('stdout', Buffer.alloc(1 << 20))
  expect(capture.failure).toBeUndefined()
  expect(openFiles()).toBe(before)
})

test('an order with very many changes stays bounded, and adds up', () => {
  const order = new StreamOrder()
  for (let i = 0; i < 200_000; i++) order.add(i % 2 === 0 ? 'stdout' : 'stderr', 2)
  const lengths = order.lengths()
  expect(lengths.length).toBeLessThanOrEqual(1 << 16)
  expect(lengths.filter((n) => n > 0).reduce((a, b) => a + b)).toBe(200_000)
  expect(lengths.filter((n) => n < 0).reduce((a, b) => a + b)).toBe(-200_000)
})
