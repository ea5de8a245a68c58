import { describe, expect, test } from 'vitest'
import { isRacy, type StatIdentity, sameIdentity } from './stat-identity.ts'

const identity: StatIdentity = { mtimeMs: 1_000_000.25, ctimeMs: 1_000_001.5, size: 3, ino: 7, mode: 0o100644 }

describe('sameIdentity', () => {
  test.each(['mtimeMs', 'ctimeMs', 'size', 'ino', 'mode'] as const)('differs by %s alone', (field) => {
    expect(sameIdentity(identity, { ...identity })).toBe(true)
    expect(sameIdentity(identity, { ...identity, [field]: identity[field] + 1 })).toBe(false)
  })
})

describe('isRacy', () => {
  test('a file stamped within a tick before it was looked at is', () => {
    expect(isRacy(identity, identity.ctimeMs + 19)).toBe(true)
    expect(isRacy(identity, identity.ctimeMs + 21)).toBe(false)
  })

  test('a file stamped after it was looked at is', () => {
    expect(isRacy(identity, identity.ctimeMs - 5)).toBe(true)
  })

  test('the later of its two times counts', () => {
    const touched = { ...identity, mtimeMs: identity.ctimeMs + 1000.5 }
    expect(isRacy(touched, identity.ctimeMs + 21)).toBe(true)
  })

  test('whole seconds in both times mean a coarse clock, and two seconds of doubt', () => {
    const coarse = { ...identity, mtimeMs: 1_000_000, ctimeMs: 1_001_000 }
    expect(isRacy(coarse, coarse.ctimeMs + 1_999)).toBe(true)
    expect(isRacy(coarse, coarse.ctimeMs + 2_001)).toBe(false)
  })

  test('an old time set by hand does not hide a fresh change', () => {
    const copied = { ...identity, mtimeMs: 5_000 }
    expect(isRacy(copied, copied.ctimeMs + 3)).toBe(true)
  })
})
