import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { isRacy, type StatIdentity } from '../../digest/stat-identity.ts'
import type { RecordKind, WorkspaceRecords } from '../../store/contracts.ts'
import { identityOf } from './compiled-copy.ts'
import { loadProject } from './load-project.ts'
import { loadUserConfig } from './load-user.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'recue-config-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function write(name: string, text: string): string {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

const load = (file: string, records?: WorkspaceRecords, evaluate = true) =>
  loadProject(file, { records, evaluate, cwd: folder })

describe('a mistake in JSON is named with line and column', () => {
  test.each([
    ['{\n  "tasks": {,}\n}', 'recue.config.json:2:13: not valid JSON'],
    ['', 'recue.config.json:1:1: not valid JSON'],
    ['{\n  "taks": {}\n}', 'recue.config.json:2:3: unknown key taks.'],
    ['{\n "tasks": {\n  "b": {"comand": "x"}}}', 'recue.config.json:3:9: unknown key tasks.b.comand.'],
    ['{"tasks": {"b": {"outputs": "dist"}}}', 'recue.config.json:1:29: tasks.b.outputs must be a list, not a string.'],
    ['{"tasks": {"b": {"outputs": [""]}}}', 'recue.config.json:1:30: tasks.b.outputs[0] must not be empty.'],
    ['{"ttl": "soon"}', 'recue.config.json:1:9: ttl is wrong: "soon" is not a duration.'],
    ['{"maxCacheSize": true}', 'recue.config.json:1:18: maxCacheSize must be a string or a number, not true.'],
    ['{"outputLogs": "ful"}', 'recue.config.json:1:16: outputLogs must be one of "full", "new-only"'],
    ['{"tasks": {"a b": {}}}', 'a name has no spaces'],
    ['[]', 'recue.config.json:1:1: the config must be an object, not a list.'],
    ['{"tasks": {"b": {"command": 3}}}', 'tasks.b.command must be a string or a list, not 3.'],
  ])('%j', async (text, message) => {
    await expect(load(write('recue.config.json', text))).rejects.toMatchObject({
      code: 'config.invalid',
      message: expect.stringContaining(message),
    })
  })

  test('and says what was meant', async () => {
    const file = write('recue.config.json', '{"tasks": {"b": {"comand": "x"}}}')
    await expect(load(file)).rejects.toMatchObject({ hint: 'Did you mean command?' })
  })
})

test('comments, trailing commas, a byte order mark and $schema are fine', async () => {
  const file = write(
    'recue.config.json',
    '\uFEFF{ // why\n "$schema": "x", "tasks": { "a": { "command": "true", }, }, }',
  )
  expect([...((await load(file))?.tasks.keys() ?? [])]).toEqual(['a'])
})

test('package.json has it under a key, or has none', async () => {
  const file = write('package.json', '{"name": "x", "recue": {"tasks": {"a": {}}}}')
  expect([...((await load(file))?.tasks.keys() ?? [])]).toEqual(['a'])
  expect(await load(write('package.json', '{"name": "x"}'))).toBeUndefined()
  await expect(load(write('package.json', '{\n"recue": {"a": 1}}'))).rejects.toThrow(
    'package.json:2:11: unknown key a.',
  )
})

describe('tasks', () => {
  const config = (tasks: unknown) => write('recue.config.json', JSON.stringify({ tasks }))

  test('a circle is printed', async () => {
    const file = config({ a: { dependsOn: ['b'] }, b: { dependsOn: ['c'] }, c: { dependsOn: ['b'] } })
    await expect(load(file)).rejects.toMatchObject({
      code: 'config.cycle',
      message: expect.stringContaining('b → c → b'),
    })
  })

  test('a dependency that is no task says what was meant', async () => {
    await expect(load(config({ build: {}, test: { dependsOn: ['biuld'] } }))).rejects.toMatchObject({
      code: 'config.invalid',
      hint: 'Did you mean build?',
    })
  })

  test.each([
    [['dist'], ['dist'], 'the same output'],
    [['dist'], ['./dist/'], 'the same output'],
    [['dist'], ['dist/web'], 'one inside the other'],
    [['dist/**/*.js'], ['dist'], 'one inside the other'],
    [['dist/**/*.js'], ['dist/a.js'], 'one inside the other'],
    [['x', '*.map'], ['y', '*.map'], 'tasks a and b have the same output: *.map and *.map.'],
  ])('outputs %j and %j of two tasks are refused', async (a, b, message) => {
    const file = config({ a: { command: 'x', outputs: a }, b: { command: 'y', outputs: b } })
    await expect(load(file)).rejects.toThrow(message)
  })

  test('outputs that only begin alike are fine, and so is the same name in another folder', async () => {
    const file = config({
      a: { command: 'x', outputs: ['dist'] },
      b: { command: 'y', outputs: ['dist-web'] },
      c: { command: 'z', outputs: ['dist'], cwd: 'packages/c' },
    })
    expect((await load(file))?.tasks.size).toBe(3)
  })

  test('a cwd outside the root is refused', async () => {
    await expect(load(config({ a: { command: 'x', cwd: '../b' } }))).rejects.toThrow('outside the root')
  })
})

describe('code', () => {
  test('is run, with types stripped', async () => {
    const file = write('recue.config.ts', 'const env: string[] = ["A"]\nexport default { env, tasks: { a: {} } }')
    expect((await load(file))?.document.env).toEqual(['A'])
  })

  test.each([
    ['export const config = {}', 'recue.config.mjs: there is no default export.'],
    ['throw new Error("no luck")', 'recue.config.mjs:1:7: no luck'],
    ['export default { tasks: { a: { command: () => 1 } } }', 'command is a function; a config is plain data.'],
    ['export default { tasks: { a: { comand: "x" } } }', 'recue.config.mjs: unknown key tasks.a.comand.'],
  ])('%j is a clear mistake', async (source, message) => {
    await expect(load(write('recue.config.mjs', source))).rejects.toThrow(message)
  })

  test('is not run for those who only look', async () => {
    const file = write('recue.config.mjs', 'throw new Error("was run")')
    expect(await load(file, undefined, false)).toBeUndefined()
  })
})

describe('the compiled copy', () => {
  /** Written long enough ago to be told from a later change. */
  async function settled(name: string, source: string): Promise<string> {
    const file = write(name, source)
    const identity = identityOf(file) as StatIdentity
    await vi.waitUntil(() => !isRacy(identity, Date.now()), { interval: 5 })
    return file
  }

  test('stands for a config that has not changed', async () => {
    const { records, saved } = keptRecords()
    const file = await settled('recue.config.mjs', 'export default { salt: "one" }')
    expect((await load(file, records))?.document.salt).toBe('one')
    expect(saved()).toBe(1)
    expect((await load(file, records, false))?.document.salt).toBe('one')
  })

  test('is void when the file changes', async () => {
    const { records } = keptRecords()
    const file = await settled('recue.config.json', '{"salt": "one"}')
    await load(file, records)
    await settled('recue.config.json', '{"salt": "two, and longer"}')
    expect((await load(file, records))?.document.salt).toBe('two, and longer')
  })

  test.each([
    'import os from "node:os"\nexport default { salt: os.hostname() }',
    'export default { salt: process.env.SALT ?? "" }',
    'export default { salt: String(Date.now()) }',
    'export default { salt: String(globalThis["pro" + "cess"].pid) }',
  ])('is never made of %j', async (source) => {
    const { records, saved } = keptRecords()
    await load(await settled('recue.config.mjs', source), records)
    expect(saved()).toBe(0)
  })

  test('is made of a config that imports types alone', async () => {
    const { records, saved } = keptRecords()
    const source = "import type { Config } from 'recue'\nexport default { salt: 'x' } satisfies Config\n"
    await load(await settled('recue.config.ts', source), records)
    expect(saved()).toBe(1)
  })
})

describe('the user config', () => {
  test('is read; there may be none', async () => {
    expect(await loadUserConfig(write('config.json', '{"ttl": "7d", "quiet": true}'))).toEqual({
      ttl: '7d',
      quiet: true,
    })
    expect(await loadUserConfig(join(folder, 'none', 'config.json'))).toBeUndefined()
  })

  test.each([
    ['{"ttl": 3, "tasks": {}}', 'unknown key tasks.'],
    ['{"ttl": "soon"}', 'ttl is wrong'],
    ['{', 'not valid JSON'],
    ['{"quiet": "yes"}', 'quiet must be true or false, not a string.'],
  ])('%j is a clear mistake', async (text, message) => {
    await expect(loadUserConfig(write('config.json', text))).rejects.toMatchObject({
      code: 'config.invalid',
      message: expect.stringContaining(message),
    })
  })
})

/** Records in memory. */
function keptRecords(): { records: WorkspaceRecords; saved: () => number } {
  const kept = new Map<string, Uint8Array>()
  const name = (kind: RecordKind, of: string) => `${kind} ${of}`
  const records: WorkspaceRecords = {
    load: (kind, of) => kept.get(name(kind, of)),
    save: async (kind, of, record) => void kept.set(name(kind, of), record),
    remove: async (kind, of) => void kept.delete(name(kind, of)),
    names: () => [],
  }
  return { records, saved: () => kept.size }
}
