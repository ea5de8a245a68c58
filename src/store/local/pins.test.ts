import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { layoutOf } from './layout.ts'
import { isPinned, pinName, pinsAt, putPin, removePin, sweepPins } from './pins.ts'
import { temporaryFolder } from './temporary-store.fixture.ts'

const NOW = 1_000_000
const A = 'a'.repeat(64)
const B = 'b'.repeat(64)

test('a pin holds until its time, or for ever, and is swept after it', () => {
  const layout = layoutOf(temporaryFolder(onTestFinished))
  expect(pinsAt(layout, NOW).size).toBe(0)
  putPin(layout, A, NOW + 10)
  putPin(layout, B, Number.POSITIVE_INFINITY)
  expect(new Map(pinsAt(layout, NOW + 9))).toEqual(
    new Map([
      [A, NOW + 10],
      [B, Number.POSITIVE_INFINITY],
    ]),
  )
  expect([...pinsAt(layout, NOW + 10).keys()]).toEqual([B])
  expect([isPinned(layout, A, NOW + 9), isPinned(layout, A, NOW + 10), isPinned(layout, B, NOW)]).toEqual([
    true,
    false,
    true,
  ])
  sweepPins(layout, NOW + 10)
  expect(readdirSync(join(layout.dir, 'pins'))).toEqual([B])
  expect([removePin(layout, B), removePin(layout, B)]).toEqual([true, false])
})

test('each instance has pins of its own', () => {
  expect(pinName('', A)).toBe(A)
  expect(new Set([pinName('', A), pinName('x', A), pinName('y', A), pinName('x', B)]).size).toBe(4)
})

test('what cannot be understood holds for ever, and what is no pin of ours is none', () => {
  const layout = layoutOf(temporaryFolder(onTestFinished))
  mkdirSync(join(layout.dir, 'pins'))
  writeFileSync(join(layout.dir, 'pins', A), 'tomorrow')
  writeFileSync(join(layout.dir, 'pins', 'notes.txt'), '')
  expect([...pinsAt(layout, NOW)]).toEqual([[A, Number.POSITIVE_INFINITY]])
})
