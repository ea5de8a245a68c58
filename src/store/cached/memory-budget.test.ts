import { describe, expect, test } from 'vitest'
import { defaultMemoryBytes, isPressed, nextLimitBytes } from './memory-budget.ts'

const MIB = 1 << 20
const idle = { limitBytes: 1000 * MIB, availableBytes: 500 * MIB, stalled: 0 }

test('unless said: an eighth of the limit, 256 MiB at most', () => {
  expect(defaultMemoryBytes({ ...idle, limitBytes: 800 * MIB })).toBe(100 * MIB)
  expect(defaultMemoryBytes({ ...idle, limitBytes: 64_000 * MIB })).toBe(256 * MIB)
})

test.each([
  ['a tenth left is enough', { ...idle, availableBytes: 100 * MIB }, false],
  ['less is pressure', { ...idle, availableBytes: 100 * MIB - 1 }, true],
  ['a tenth of the time stalled is borne', { ...idle, stalled: 0.1 }, false],
  ['more is pressure', { ...idle, stalled: 0.11 }, true],
])('%s', (_name, state, expected) => expect(isPressed(state)).toBe(expected))

describe('the next limit', () => {
  const pressed = { ...idle, availableBytes: 0 }

  test('under pressure: half of what is held, or of a limit below it', () => {
    expect(nextLimitBytes(pressed, { budgetBytes: 100, limitBytes: 100, heldBytes: 60 })).toBe(30)
    expect(nextLimitBytes(pressed, { budgetBytes: 100, limitBytes: 20, heldBytes: 60 })).toBe(10)
  })

  test('without: a tenth of the budget more, never above it', () => {
    expect(nextLimitBytes(idle, { budgetBytes: 100, limitBytes: 30, heldBytes: 30 })).toBe(40)
    expect(nextLimitBytes(idle, { budgetBytes: 100, limitBytes: 95, heldBytes: 30 })).toBe(100)
    expect(nextLimitBytes(idle, { budgetBytes: 100, limitBytes: 100, heldBytes: 0 })).toBe(100)
  })
})
