import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { classOf } from './content-class.ts'

const source = readFileSync(new URL('content-class.ts', import.meta.url))
const sources = Buffer.concat(Array.from({ length: 40 }, (_, i) => Buffer.from(`${i}${source}`)))

describe('the class of content', () => {
  it.each([1024, 2048, 5000, 65_536, 1 << 20])('is dense for %i random bytes, whichever', (size) => {
    for (let i = 0; i < 200; i++) expect(classOf(randomBytes(size))).toBe('dense')
  })

  it('is dense for what gzip made', () => {
    const noise = Buffer.concat([sources, Buffer.from(randomBytes(30_000).toString('hex'))])
    expect(classOf(gzipSync(noise))).toBe('dense')
  })

  it('is text for sources, also with umlauts and colours', () => {
    expect(classOf(sources)).toBe('text')
    expect(classOf(Buffer.from('Größe \u001b[31m→\u001b[0m\r\n'.repeat(500)))).toBe('text')
  })

  it('is text for base64 and hexadecimals, which compress', () => {
    expect(classOf(Buffer.from(randomBytes(50_000).toString('base64')))).toBe('text')
    expect(classOf(Buffer.from(randomBytes(50_000).toString('hex')))).toBe('text')
  })

  it('is binary for zeros and for machine code', () => {
    expect(classOf(Buffer.alloc(100_000))).toBe('binary')
    const program = readFileSync(process.execPath)
    const middle = Math.floor(program.length / 2)
    expect(classOf(program.subarray(middle, middle + 65_536))).toBe('binary')
  })

  it('is not dense for less than can be told from chance', () => {
    for (const size of [0, 1, 7, 100, 1023]) expect(classOf(randomBytes(size))).not.toBe('dense')
  })

  it('looks at the whole length: a dense start or end is not all', () => {
    expect(classOf(Buffer.concat([randomBytes(30_000), sources.subarray(0, 60_000)]))).not.toBe('dense')
    expect(classOf(Buffer.concat([sources.subarray(0, 60_000), randomBytes(30_000)]))).not.toBe('dense')
  })
})
