import { describe, expect, it } from 'vitest'
import { LevelChoice } from './level-choice.ts'

const MIB = 1 << 20

/** A choice that saw all threads together make `mibPerSecond` at level 1, with text to a quarter. */
function compressing(mibPerSecond: number): LevelChoice {
  let now = 0
  const choice = new LevelChoice(() => now)
  for (let i = 0; i < 3; i++) {
    using timing = choice.time()
    now += (2 / mibPerSecond) * 1000
    timing.done('text', 1, 2 * MIB, MIB / 2)
  }
  return choice
}

function written(choice: LevelChoice, mibPerSecond: number, times = 1): LevelChoice {
  for (let i = 0; i < times; i++) choice.wrote(MIB, 1000 / mibPerSecond)
  return choice
}

describe('the level of auto', () => {
  it('is 1 until something was measured', () => {
    expect(new LevelChoice().level('text')).toBe(1)
    expect(compressing(600).level('text')).toBe(1)
    expect(written(new LevelChoice(), 1).level('text')).toBe(1)
  })

  it.each([
    [1000, 1],
    [65, 1],
    [63, 3],
    [22, 3],
    [20, 6],
    [13, 6],
    [11, 9],
    [1, 9],
  ])('for a medium that takes %i MiB/s and 600 MiB/s compressed at level 1 is %i', (medium, level) => {
    expect(written(compressing(600), medium).level('text')).toBe(level)
  })

  it('goes by the class: machine code takes longer at the same level, and leaves more to write', () => {
    const fast = written(compressing(600), 75)
    expect([fast.level('text'), fast.level('binary')]).toEqual([1, 3])
    const slow = written(compressing(600), 22)
    expect([slow.level('text'), slow.level('binary')]).toEqual([3, 9])
  })

  it('believes what was fast at once and what was slow only when it stays', () => {
    expect(written(written(compressing(600), 10), 1000).level('text')).toBe(1)
    const once = written(written(compressing(600), 1000), 10)
    expect(once.level('text')).toBe(1)
    expect(written(once, 10, 40).level('text')).toBe(9)
  })

  it('takes a lower one soon when compressing takes longer, for others want the processors too', () => {
    let now = 0
    const choice = written(new LevelChoice(() => now), 11)
    const compress = (mibPerSecond: number) => {
      using timing = choice.time()
      now += (2 / mibPerSecond) * 1000
      timing.done('text', 1, 2 * MIB, MIB / 2)
    }
    for (let i = 0; i < 3; i++) compress(600)
    expect(choice.level('text')).toBe(9)
    for (let i = 0; i < 3; i++) compress(120)
    expect(choice.level('text')).toBe(3)
    compress(600)
    expect(choice.level('text')).toBe(3)
    for (let i = 0; i < 30; i++) compress(600)
    expect(choice.level('text')).toBe(9)
  })

  it('does not count small writes, which are all overhead', () => {
    const choice = compressing(600)
    for (let i = 0; i < 100; i++) choice.wrote(10_000, 50)
    expect(choice.level('text')).toBe(1)
  })

  it('does not count the time in which nothing is compressed', () => {
    let now = 0
    const choice = written(new LevelChoice(() => now), 20)
    for (let i = 0; i < 4; i++) {
      {
        using timing = choice.time()
        now += 2
        timing.done('text', 1, 2 * MIB, MIB / 2)
      }
      now += 60_000
    }
    expect(choice.level('text')).toBe(9)
  })

  it('puts small frames together, made one by one with pauses', () => {
    let now = 0
    const choice = written(new LevelChoice(() => now), 20)
    for (let i = 0; i < 16; i++) {
      {
        using timing = choice.time()
        now += (1 / 16 / 600) * 1000
        timing.done('text', 1, MIB / 16, MIB / 64)
      }
      expect(choice.level('text')).toBe(i < 15 ? 1 : 6)
      now += 60_000
    }
  })

  it('counts what is made side by side together', () => {
    let now = 0
    const choice = written(new LevelChoice(() => now), 20)
    const underWay = Array.from({ length: 4 }, () => choice.time())
    for (let i = 0; i < 60; i++) {
      now += (1 / 600) * 1000
      const oldest = underWay.shift() as (typeof underWay)[0]
      oldest.done('text', 1, MIB, MIB / 4)
      oldest[Symbol.dispose]()
      underWay.push(choice.time())
    }
    expect(choice.level('text')).toBe(6)
  })

  it('takes several that are told of in one turn for what they took together', () => {
    let now = 0
    const choice = written(new LevelChoice(() => now), 50)
    for (let i = 0; i < 60; i++) {
      const underWay = Array.from({ length: 4 }, () => choice.time())
      // 100 MiB/s, which at no level is twice what this medium takes.
      now += 40
      for (const timing of underWay) {
        timing.done('text', 1, MIB, MIB / 4)
        timing[Symbol.dispose]()
        now += 0.01
      }
      expect(choice.level('text')).toBe(1)
    }
  })

  it('knows that a higher level took longer for the same', () => {
    let now = 0
    const choice = written(new LevelChoice(() => now), 20)
    for (let i = 0; i < 30; i++) {
      using timing = choice.time()
      // 600 MiB/s at level 1, 168 at level 6.
      now += (2 / 168) * 1000
      timing.done('text', 6, 2 * MIB, MIB / 2)
    }
    expect(choice.level('text')).toBe(6)
  })
})
