import { describe, expect, test } from 'vitest'
import { nextUses, TraceBuilder } from '../trace.ts'
import { TraceFault } from './fault.ts'
import { FORMATS, type FormatName, guessFormat } from './formats.ts'

/** Cut where no line and no record ends. */
async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 5) yield bytes.subarray(at, at + 5)
}

async function read(format: FormatName, bytes: Uint8Array) {
  const builder = new TraceBuilder()
  await FORMATS[format](inPieces(bytes), builder)
  const { keys, sizes, costs, objects } = builder.trace()
  return {
    keys: [...keys],
    objects,
    ...(sizes && { sizes: [...sizes] }),
    ...(costs && { costs: [...costs] }),
  }
}

function oracleRecords(...records: readonly [time: number, key: bigint, size: number, next: bigint][]): Uint8Array {
  const bytes = Buffer.alloc(24 * records.length)
  for (const [at, [time, key, size, next]] of records.entries()) {
    bytes.writeUInt32LE(time, 24 * at)
    bytes.writeBigUInt64LE(key, 24 * at + 4)
    bytes.writeUInt32LE(size, 24 * at + 12)
    bytes.writeBigInt64LE(next, 24 * at + 16)
  }
  return bytes
}

function bigEndian(keys: readonly bigint[]): Uint8Array {
  const bytes = Buffer.alloc(8 * keys.length)
  for (const [at, key] of keys.entries()) bytes.writeBigInt64BE(key, 8 * at)
  return bytes
}

const oracle = oracleRecords([1, 2n ** 63n, 512, 3n], [1, 7n, 4096, -1n], [2, 2n ** 63n, 512, -1n])

const CASES: readonly {
  format: FormatName
  name: string
  bytes: Uint8Array
  guessed?: FormatName | undefined
  keys: number[]
  sizes?: number[]
  costs?: number[]
}[] = [
  { format: 'lirs', name: 'a.trace', bytes: Buffer.from('5\r\n*\r\n9\r\n\r\n5'), keys: [0, 1, 0] },
  { format: 'arc', name: 'a', bytes: Buffer.from('10 3 0 1\n11 1 0 2\n\n'), keys: [0, 1, 2, 1] },
  {
    ...{ format: 'csv', name: 'a', bytes: Buffer.from('version,time,op,size,lbn\n2,0,3,512,8\n2,0,3,1024,8\n') },
    ...{ keys: [0, 0], sizes: [512, 1024] },
  },
  {
    ...{ format: 'csv', name: 'a.csv', bytes: Buffer.from('key,cost_ms\nx,1.5\ny,2\n') },
    ...{ keys: [0, 1], costs: [1.5, 2] },
  },
  {
    ...{ format: 'webcachesim', name: 'a', bytes: Buffer.from('1 7 100\n2 7 200\n3 7 100\n') },
    ...{ keys: [0, 1, 0], sizes: [100, 200, 100] },
  },
  { format: 'oracleGeneral', name: 'a.bin', bytes: oracle, keys: [0, 1, 0], sizes: [512, 4096, 512] },
  {
    ...{ format: 'int32', name: 'a', guessed: undefined, bytes: Buffer.from([0, 0, 0, 1, 255, 0, 0, 1, 0, 0, 0, 1]) },
    keys: [0, 1, 0],
  },
  {
    ...{
      format: 'int64',
      name: 'a',
      guessed: undefined,
      bytes: bigEndian([-(2n ** 63n), 1n - 2n ** 63n, -(2n ** 63n)]),
    },
    keys: [0, 1, 0],
  },
]

describe.each(CASES)('$format, $name', ({ format, name, bytes, keys, sizes, costs, ...rest }) => {
  test('reads each request, wherever the bytes are cut', async () => {
    const objects = new Set(keys).size
    expect(await read(format, bytes)).toEqual({ keys, objects, ...(sizes && { sizes }), ...(costs && { costs }) })
  })

  test('is told from its name and its first bytes, or not guessed at', () => {
    expect(guessFormat(name, bytes)).toBe('guessed' in rest ? rest.guessed : format)
  })
})

test.each<[FormatName, Uint8Array, string]>([
  ['lirs', Buffer.from('1\n2\nthree\n'), 'line 3'],
  ['arc', Buffer.from('1 1 0 1\n1 1 0\n'), 'line 2'],
  ['arc', Buffer.from('1 99999999999 0 1\n'), 'line 1'],
  ['arc', Buffer.from('1 -1 0 1\n'), 'line 1'],
  ['csv', Buffer.from('a,b\n'), 'line 1'],
  ['csv', Buffer.from('key,size\nx,1\ny,\n'), 'line 3'],
  ['csv', Buffer.from('key,size\n,1\n'), 'line 2'],
  ['csv', Buffer.from('key,size\nx,-1\n'), 'line 2'],
  ['webcachesim', Buffer.from('1 2 3\n1 2\n'), 'line 2'],
  ['webcachesim', Buffer.from('1 2 3 4\n'), 'line 1'],
  ['oracleGeneral', oracle.subarray(0, 70), 'record 3'],
  ['int32', Buffer.from([1, 2, 3]), 'record 1'],
])('%s: what is no request is told by its place (%#)', async (format, bytes, place) => {
  const fault = await read(format, bytes).catch((error: unknown) => error)
  expect(fault).toBeInstanceOf(TraceFault)
  expect((fault as TraceFault).place).toBe(place)
})

test('text of words and bytes without a shape are no format', () => {
  expect(guessFormat('a', Buffer.from('{ "name": 1 }\n'))).toBeUndefined()
  expect(guessFormat('a', Buffer.from('1 2\n'))).toBeUndefined()
  expect(guessFormat('a', oracleRecords([2, 1n, 1, -1n], [1, 1n, 1, -1n]))).toBeUndefined()
  expect(guessFormat('a', oracleRecords([1, 1n, 1, 1n]))).toBeUndefined()
})

test('a builder keeps all of a long trace, and knows each next use', () => {
  const builder = new TraceBuilder()
  for (let at = 0; at < 5_000; at++) builder.add(at % 1_500, at, at / 2)
  const trace = builder.trace()
  expect([trace.requests, trace.objects, trace.keys[4_999], trace.sizes?.[4_999], trace.costs?.[4_999]]).toEqual([
    ...[5_000, 1_500, 499, 4_999, 2_499.5],
  ])
  const next = nextUses(trace)
  expect([next[0], next[3_499], next[3_500], next[4_999]]).toEqual([1_500, 4_999, Infinity, Infinity])
})
