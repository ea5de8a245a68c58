import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { keyOf } from '../action/key/key.ts'
import type { KeyedAction } from '../action/key/keyed-action.ts'
import type { ActionRequest } from '../action/request.ts'
import type { Digest } from '../digest/digest.ts'
import { Action } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { RunRecord } from '../proto/recue/v1/recue.ts'
import { keyChanges } from './key-changes.ts'
import type { Ledger } from './ledger.ts'
import { openLedger } from './ledger.ts'
import { type Why, why } from './why.ts'
import { changeLine, shortWhy } from './why-text.ts'

let base: string
let root: string
let blobs: Map<string, Uint8Array>
const messages = { read: async ({ hash }: Digest) => blobs.get(hash) }

beforeEach(() => {
  base = mkdtempSync(join(realpathSync(tmpdir()), 'recue-why-'))
  root = join(base, 'project')
  for (const folder of ['src/deep', 'bin', 'other']) mkdirSync(join(root, folder), { recursive: true })
  for (const name of ['src/a.ts', 'src/b.ts', 'src/deep/c.ts']) writeFileSync(join(root, name), name)
  symlinkSync('a.ts', join(root, 'src/link'))
  program('tool', '#!/bin/sh\nexit 0\n')
  blobs = new Map()
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

function program(name: string, text: string): void {
  writeFileSync(join(root, 'bin', name), text)
  chmodSync(join(root, 'bin', name), 0o755)
}

interface Changes {
  readonly request?: Partial<ActionRequest>
  readonly env?: Readonly<Record<string, string>>
}

function request({ request: changes = {}, env = {} }: Changes): ActionRequest {
  return {
    argv: ['tool', 'build', '--fast'],
    root,
    workingDirectory: '',
    inputs: { patterns: ['src'], gitignore: true, allowEmpty: false, allowLinks: [], implicit: false },
    outputs: ['dist', 'maps/*.map'],
    environment: {
      source: { PATH: [join(root, 'bin'), '/usr/bin', '/bin'].join(delimiter), MODE: 'one', ...env },
      keyed: ['MODE', 'OTHER'],
      passed: [],
      normalize: [],
    },
    tools: {},
    platform: {},
    salt: '',
    definition: '',
    stdin: undefined,
    ...changes,
  }
}

/** The key, its messages kept as those of a result would be. */
async function key(changes: Changes = {}): Promise<KeyedAction> {
  const keyed = await keyOf(request(changes), {
    records: undefined,
    cacheDir: join(base, 'cache'),
    home: join(base, 'home'),
  })
  if (keyed.kind !== 'keyed') throw new Error(keyed.reason)
  const { action } = keyed
  for (const { digest, bytes } of [action.action, action.command, ...action.inputs.directories()])
    blobs.set(digest.hash, bytes)
  return action
}

async function lines(before: KeyedAction, after: KeyedAction): Promise<string[] | undefined> {
  return (await keyChanges(messages, before.key, after.key))?.changes.map(changeLine)
}

const write = (path: string, text: string) => writeFileSync(join(root, path), text)

describe('names the part of the key that changed', () => {
  const cases: readonly [string, () => void, Changes, string[]][] = [
    ['nothing', () => {}, {}, []],
    ['an input', () => write('src/a.ts', 'new'), {}, ['src/a.ts changed']],
    ['an input in depth', () => write('src/deep/c.ts', 'new'), {}, ['src/deep/c.ts changed']],
    ['a new input', () => write('src/d.ts', ''), {}, ['src/d.ts added']],
    ['an input gone', () => unlinkSync(join(root, 'src/b.ts')), {}, ['src/b.ts removed']],
    ['a mode', () => chmodSync(join(root, 'src/b.ts'), 0o755), {}, ['src/b.ts changed its executable bit']],
    [
      'the text of a link',
      () => {
        unlinkSync(join(root, 'src/link'))
        symlinkSync('b.ts', join(root, 'src/link'))
      },
      {},
      ['src/link points elsewhere'],
    ],
    ['an argument', () => {}, { request: { argv: ['tool', 'build', '--slow'] } }, ['argument --fast → --slow']],
    ['a new argument', () => {}, { request: { argv: ['tool', 'build', '-v', '--fast'] } }, ['argument -v added']],
    ['an argument gone', () => {}, { request: { argv: ['tool', '--fast'] } }, ['argument build removed']],
    ['the value of a variable', () => {}, { env: { MODE: 'two' } }, ['MODE changed']],
    ['a variable that is set', () => {}, { env: { OTHER: '' } }, ['OTHER is set now']],
    ['the program', () => program('tool', '#!/bin/sh\nexit 1\n'), {}, ['the program tool is another one']],
    ['the salt', () => {}, { request: { salt: 'x' } }, ['the salt changed']],
    ['a platform property', () => {}, { request: { platform: { distro: 'b' } } }, ['platform distro: not set → b']],
    ['standard input', () => {}, { request: { stdin: Buffer.from('x') } }, ['standard input changed']],
    [
      'an output',
      () => {},
      { request: { outputs: ['out', 'maps/*.map'] } },
      ['output dist removed', 'output out added'],
    ],
    [
      'an output glob',
      () => {},
      { request: { outputs: ['dist', '*.map'] } },
      ['output maps/*.map removed', 'output *.map added'],
    ],
    [
      'what a tool says',
      () => {},
      { request: { tools: { node: 'echo 1' } } },
      ['node says something else of its version'],
    ],
  ]
  test.each(cases)('%s', async (_, change, changes, expected) => {
    const before = await key()
    change()
    expect(await lines(before, await key(changes))).toEqual(expected)
  })

  test('the working directory', async () => {
    const inputs = { ...request({}).inputs, patterns: ['../src'] }
    const before = await key({ request: { workingDirectory: 'other', inputs } })
    const after = await key({ request: { workingDirectory: 'bin', inputs } })
    expect(await lines(before, after)).toContain('working directory: other → bin')
  })

  test('a variable that is no longer set', async () => {
    expect(await lines(await key({ env: { OTHER: 'x' } }), await key())).toEqual(['OTHER is no longer set'])
  })

  test('the members of a task, and the tasks before it', async () => {
    const definition = (members: object) => ({ request: { definition: JSON.stringify(members) } })
    const before = await key(definition({ command: 'a', dependencies: [['gen', '1']], env: ['A'] }))
    const after = await key(definition({ command: 'a', dependencies: [['gen', '2']], env: ['B'] }))
    expect(await lines(before, after)).toEqual([
      "the task's env changed in the config",
      'gen, which it depends on, is another one',
    ])
  })

  test('the version of the rules', async () => {
    const before = await key()
    const { commandDigest, inputRootDigest, platform } = Action.decode(before.action.bytes)
    const newer = Action.encode({
      ...{ commandDigest, inputRootDigest, platform, timeout: undefined, doNotCache: false },
      salt: Buffer.from('recue key 999\0'),
    }).finish()
    const digest = { hash: 'f'.repeat(64), sizeBytes: newer.length }
    blobs.set(digest.hash, newer)
    expect((await keyChanges(messages, before.key, digest))?.changes).toEqual([{ part: 'key-version' }])
  })
})

test('values of variables are in no answer', async () => {
  const before = await key({ env: { OTHER: 'hunter2' } })
  const comparison = await keyChanges(messages, before.key, (await key({ env: { OTHER: 'swordfish' } })).key)
  expect(JSON.stringify(comparison)).not.toMatch(/hunter2|swordfish/)
})

describe('finds the run to compare with', () => {
  let ledger: Ledger
  beforeEach(() => {
    ledger = openLedger(base)
  })

  function ran(digest: Digest | undefined, startedMs: number, thing = 'build', status = 'miss'): void {
    const rest = {
      exitCode: 0,
      durationMs: 1,
      savedMs: 0,
      ownUs: 1,
      reason: '',
      source: '',
      bytes: 0,
      tool: '',
      count: 0,
    }
    ledger.append({ thing, label: thing, root, startedMs, status, key: digest, ...rest } satisfies RunRecord)
  }
  const ask = (after: Digest): Promise<Why> => why({ thing: 'build', after, beforeMs: 1_000 }, { ledger, messages })

  test('the first run of a thing has none', async () => {
    ran((await key()).key, 1, 'test')
    expect(await ask((await key()).key)).toEqual({ kind: 'first' })
  })

  test('the newest one before it', async () => {
    const [first, second] = [await key(), await key({ env: { MODE: 'two' } })]
    ran(first.key, 1)
    ran(second.key, 2)
    const now = await key({ env: { MODE: 'three', OTHER: '' } })
    ran(now.key, 1_000)
    expect(await ask(now.key)).toMatchObject({
      kind: 'changed',
      previous: { startedMs: 2 },
      changes: [
        { part: 'variable', name: 'MODE' },
        { part: 'variable', name: 'OTHER' },
      ],
    })
  })

  test('the same key', async () => {
    const now = await key()
    ran(now.key, 5)
    expect(await ask(now.key)).toMatchObject({ kind: 'same-key', previous: { startedMs: 5 } })
  })

  test('the newest, though an older one had the same key: what was changed back is no "same"', async () => {
    const [now, other] = [await key(), await key({ env: { MODE: 'two' } })]
    ran(now.key, 1)
    ran(other.key, 2, 'build', 'uncached')
    expect(await ask(now.key)).toMatchObject({ kind: 'changed', previous: { startedMs: 2 } })
    blobs.delete(other.action.digest.hash)
    expect(await ask(now.key)).toMatchObject({ kind: 'not-comparable', previous: { startedMs: 2 } })
  })

  test('one of five keys at most, however often each was tried', async () => {
    ran((await key()).key, 1)
    const failed = async (mode: string) => {
      const { key: digest, action } = await key({ env: { MODE: mode } })
      blobs.delete(action.digest.hash)
      for (let i = 0; i < 3; i++) ran(digest, 2, 'build', 'uncached')
    }
    const now = await key({ env: { MODE: 'now' } })
    for (const mode of ['a', 'b', 'c', 'd']) await failed(mode)
    expect(await ask(now.key)).toMatchObject({ kind: 'changed', previous: { startedMs: 1 } })
    await failed('e')
    expect(await ask(now.key)).toMatchObject({ kind: 'not-comparable', previous: { startedMs: 2 } })
  })

  test('an older one where the newer was not kept', async () => {
    const [kept, failed] = [await key(), await key({ env: { MODE: 'two' } })]
    blobs.delete(failed.action.digest.hash)
    ran(kept.key, 1)
    ran(failed.key, 2, 'build', 'uncached')
    const now = await key({ env: { MODE: 'three' } })
    expect(await ask(now.key)).toMatchObject({ kind: 'changed', previous: { startedMs: 1 } })
  })

  test('none that can be compared', async () => {
    const old = await key()
    ran(old.key, 1)
    const now = await key({ env: { MODE: 'two' } })
    blobs.delete(old.action.digest.hash)
    expect(await ask(now.key)).toMatchObject({ kind: 'not-comparable', previous: { startedMs: 1 } })
  })

  test('runs without a key are passed over', async () => {
    const old = await key()
    ran(old.key, 1)
    ran(undefined, 2, 'build', 'bypassed')
    expect(await ask((await key({ env: { MODE: 'two' } })).key)).toMatchObject({
      kind: 'changed',
      previous: { startedMs: 1 },
    })
  })
})

describe('the short form', () => {
  const previous = {} as RunRecord
  const input = (path: string) => ({ part: 'input', path, how: 'content' }) as const
  const short = (changes: Extract<Why, { kind: 'changed' }>['changes'], isCut = false) =>
    shortWhy({ kind: 'changed', previous, changes, isCut })

  test('one, two and many files', () => {
    expect(short([input('src/a.ts')])).toBe('src/a.ts changed')
    expect(short([input('src/a.ts'), input('b')])).toBe('src/a.ts and 1 more file changed')
    expect(short([input('src/a.ts'), input('b'), input('c')])).toBe('src/a.ts and 2 more files changed')
    expect(short([input('a'), input('b')], true)).toBe('a and over 1 more file changed')
  })

  test('two things, and then how many more', () => {
    const variables = ['A', 'B', 'C'].map((name) => ({ part: 'variable', name, how: 'changed' }) as const)
    expect(short(variables.slice(0, 2))).toBe('A changed, B changed')
    expect(short(variables)).toBe('A changed, B changed and 1 more')
    expect(short([input('x'), ...variables])).toBe('x changed, A changed and 2 more')
  })

  test('a definition that changed with one of its parts is not told apart', () => {
    const definition = { part: 'definition', members: ['env'] } as const
    expect(short([definition])).toBe("the task's env changed in the config")
    expect(short([definition, { part: 'variable', name: 'A', how: 'set' }])).toBe('A is set now')
  })
})
