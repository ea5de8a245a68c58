import { expect, test } from 'vitest'
import { wholeBody } from './whole-body.ts'

async function* chunks(...sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (const size of sizes) yield Buffer.alloc(size, 'x')
}

test.each([
  ['in one piece', [5], 5],
  ['in several', [2, 0, 3], 5],
  ['of nothing', [], 0],
  ['a byte too large', [3, 3], undefined],
] as const)('a body %s', async (_name, sizes, length) => {
  expect((await wholeBody(chunks(...sizes), 5))?.length).toBe(length)
})
