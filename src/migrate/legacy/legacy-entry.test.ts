import { describe, expect, test } from 'vitest'
import { legacyData, parseLegacyEntry } from './legacy-entry.ts'
import { isSignedLegacy, signLegacy } from './legacy-signature.ts'

/** From the description of the format, where the signing key is the bytes 0 to 31. */
const KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => i))
const SIGNED = `{
  "data": {
    "cache_key": "30643fbbe5bc9b878097c5d0439c39eb209165631bb52dfeaa2fea0b191b2866",
    "executed_at": {
      "secs_since_epoch": 1753600000,
      "nanos_since_epoch": 123456789
    },
    "exit_code": 0,
    "stdout": null,
    "stderr": null,
    "output_files": {
      "out/r.txt": "54034ac5c6e9ea95734ec2b729fd6d62abf64af34a9f9ce5d466cb788191a73d"
    }
  },
  "signature": "d9d5fc208d7db33dd3287a8d2774862b5e18d155bc4f05b3ded59eeb1440e821",
  "nonce": "0123456789abcdef",
  "timestamp": 1753600000
}`
const AT = 1_753_600_000

const signed = (text: string) => {
  const entry = parseLegacyEntry(text)
  if (entry.kind !== 'signed') throw new Error(entry.kind)
  return entry
}
const changed = (change: (entry: { data: Record<string, unknown>; [name: string]: unknown }) => void) => {
  const entry = JSON.parse(SIGNED)
  change(entry)
  return JSON.stringify(entry)
}

describe('a signed entry', () => {
  test('of the old tool is read, and its signature holds', () => {
    const { result, signature, signedText } = signed(SIGNED)
    expect(result).toEqual({
      key: '30643fbbe5bc9b878097c5d0439c39eb209165631bb52dfeaa2fea0b191b2866',
      executedMs: AT * 1000 + 123.456789,
      exitCode: 0,
      outputFiles: { 'out/r.txt': '54034ac5c6e9ea95734ec2b729fd6d62abf64af34a9f9ce5d466cb788191a73d' },
    })
    expect(isSignedLegacy(KEY, signedText, signature, AT)).toBe(true)
  })

  test('is made with the same signature', () => {
    expect(signLegacy(KEY, signed(SIGNED).signedText, AT, '0123456789abcdef')).toEqual(signed(SIGNED).signature)
    expect(signLegacy(KEY, '', AT).nonce).toMatch(/^[0-9a-f]{16}$/)
    expect(signLegacy(KEY, '', AT).nonce).not.toBe(signLegacy(KEY, '', AT).nonce)
  })

  test('does not hold when data, nonce, time, key or signature differ', () => {
    const changes = [
      changed((entry) => (entry.data.exit_code = 1)),
      changed((entry) => (entry.data.stdout = [1])),
      changed((entry) => (entry.data.output_files = {})),
      changed((entry) => (entry.data.executed_at = { secs_since_epoch: 1753600000, nanos_since_epoch: 0 })),
      changed((entry) => (entry.nonce = '0123456789abcdee')),
      changed((entry) => (entry.timestamp = AT + 1)),
      changed((entry) => (entry.signature = '')),
      changed((entry) => (entry.signature = 'no hex')),
    ]
    for (const text of changes) {
      const { signedText, signature } = signed(text)
      expect(isSignedLegacy(KEY, signedText, signature, AT), text).toBe(false)
    }
    const { signedText, signature } = signed(SIGNED)
    expect(isSignedLegacy(Buffer.alloc(32), signedText, signature, AT)).toBe(false)
  })

  test('holds for seven days, and from a time to come', () => {
    const { signedText, signature } = signed(SIGNED)
    expect(isSignedLegacy(KEY, signedText, signature, AT + 604_800)).toBe(true)
    expect(isSignedLegacy(KEY, signedText, signature, AT + 604_801)).toBe(false)
    expect(isSignedLegacy(KEY, signedText, signature, 0)).toBe(true)
  })

  test('holds whatever the order of its members, with members that nobody knows and null ones left out', () => {
    const text = changed((entry) => {
      const { stdout: _, stderr: __, exit_code, ...rest } = entry.data
      entry.data = { exit_code, more: 1, ...rest }
    })
    const { signedText, signature } = signed(text)
    expect(isSignedLegacy(KEY, signedText, signature, AT)).toBe(true)
  })
})

test('a result is written as the old tool wrote it', () => {
  const data = legacyData({ key: 'k', executedMs: 1_753_600_000_250, exitCode: 0, outputFiles: {} })
  expect(JSON.stringify(data)).toBe(
    '{"cache_key":"k","executed_at":{"secs_since_epoch":1753600000,"nanos_since_epoch":250000000},"exit_code":0,"stdout":null,"stderr":null,"output_files":{}}',
  )
  expect(parseLegacyEntry(JSON.stringify(data))).toEqual({
    kind: 'plain',
    result: { key: 'k', executedMs: 1_753_600_000_250, exitCode: 0, outputFiles: {} },
  })
})

test('an entry of the first generation is told by its members', () => {
  const text =
    '{"cache_key":"k","executed_at":{"secs_since_epoch":1,"nanos_since_epoch":0},"exit_code":0,"output_hashes":{}}'
  expect(parseLegacyEntry(text)).toEqual({ kind: 'first' })
})

test.each([
  '',
  '{',
  '[]',
  'null',
  '7',
  '{}',
  '{"data":[],"signature":"","nonce":"","timestamp":1}',
  changed((entry) => delete entry.signature),
  changed((entry) => (entry.nonce = 1)),
  changed((entry) => (entry.timestamp = -1)),
  changed((entry) => delete entry.data.cache_key),
  changed((entry) => (entry.data.exit_code = 'zero')),
  changed((entry) => (entry.data.executed_at = 1)),
  changed((entry) => (entry.data.executed_at = { secs_since_epoch: 1.5, nanos_since_epoch: 0 })),
  changed((entry) => (entry.data.executed_at = { secs_since_epoch: 1 })),
  changed((entry) => delete entry.data.output_files),
  changed((entry) => (entry.data.output_files = { a: 1 })),
])('what is no entry is store.corrupt: %s', (text) => {
  expect(() => parseLegacyEntry(text)).toThrow(expect.objectContaining({ code: 'store.corrupt' }))
})
