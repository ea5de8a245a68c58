import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DENIED_MS, denialFile } from './denial-file.ts'

let folder: string
let nowMs = 1_700_000_000_000
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'recue-denials-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const at = (place: string) => denialFile(join(folder, 'remotes'), place, () => nowMs)
const onlyFile = () => join(folder, 'remotes', readdirSync(join(folder, 'remotes'))[0] as string)

test('is remembered for some hours, for one place and what was shown there', () => {
  const access = { token: 'reads' }
  expect([at('a').mayBeDenied(), at('a').isDenied(access)]).toEqual([false, false])
  at('a').deny(access)
  expect([at('a').mayBeDenied(), at('a').isDenied(access)]).toEqual([true, true])
  expect(at('b').isDenied(access)).toBe(false)
  expect(at('a').isDenied({ token: 'writes' })).toBe(false)
  expect(at('a').isDenied({})).toBe(false)
  expect(at('a').isDenied({ ...access, headers: { 'x-key': '1' } })).toBe(false)
  expect(at('a').isDenied({ ...access, tls: { cert: 'pem' } })).toBe(false)
  nowMs += DENIED_MS - 1
  expect(at('a').isDenied(access)).toBe(true)
  nowMs += 1
  expect([at('a').mayBeDenied(), at('a').isDenied(access)]).toEqual([false, false])
})

test('is forgotten on demand, and when the clock is set back', () => {
  at('a').deny({})
  nowMs -= 1
  expect(at('a').isDenied({})).toBe(false)
  nowMs += 1
  expect(at('a').isDenied({})).toBe(true)
  at('a').forget()
  expect(at('a').mayBeDenied()).toBe(false)
  at('a').forget()
})

test('says nothing of the token, and nothing where it is damaged', () => {
  at('a').deny({ token: 'a-secret' })
  const text = readFileSync(onlyFile(), 'utf8')
  expect(text).toMatch(/^\d+ [0-9a-f]{4} \d+\n$/)
  for (let at_ = 0; at_ < text.length; at_++) {
    writeFileSync(onlyFile(), `${text.slice(0, at_)}${text[at_] === '7' ? '8' : '7'}${text.slice(at_ + 1)}`)
    expect(at('a').mayBeDenied(), String(at_)).toBe(false)
  }
  writeFileSync(onlyFile(), text.slice(0, -1))
  expect(at('a').mayBeDenied()).toBe(false)
  writeFileSync(onlyFile(), text)
  expect(at('a').mayBeDenied()).toBe(true)
})

test('throws nothing where nothing can be written', () => {
  writeFileSync(join(folder, 'remotes'), 'a file')
  at('a').deny({})
  at('a').forget()
  expect(at('a').isDenied({})).toBe(false)
})
