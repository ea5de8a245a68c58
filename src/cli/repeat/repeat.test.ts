import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cache, openCache } from '../../cache.ts'
import { indexStamp } from '../../store/local/index-stamp.ts'
import { openSession } from '../session.ts'
import { worksAsked } from '../work.ts'
import { HitWitness } from './hit-witness.ts'
import { keepRepeat } from './keep-repeat.ts'
import { type RepeatQuestion, standingRepeat } from './repeat-check.ts'
import { askedFor, decodeRepeat, encodeRepeat, repeatPath } from './repeat-record.ts'
import { repeatableAt } from './repeatable.ts'

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'recue-repeat-')))
afterAll(() => {
  process.chdir(tmpdir())
  rmSync(folder, { recursive: true, force: true })
})

const outer = join(folder, 'outer')
const project = join(outer, 'project')
const cacheDir = join(folder, 'cache')
const environment = {
  PATH: `${folder}/no-folder:${folder}/first:${folder}/second:/usr/bin:/bin`,
  HOME: join(folder, 'home'),
  XDG_CONFIG_HOME: join(folder, 'config'),
  LANG: 'C',
  ASKED: 'one',
  WITHHELD: 'anything',
  RECUE_SALT: 'one',
  CI: 'anything',
}
const argv = ['node', 'recue', 'run', '-i', 'src', '-o', 'out', '-e', 'ASKED', '--', 'tool']
const flags = new Map<string, unknown>([
  ['input', ['src']],
  ['output', ['out']],
  ['env', ['ASKED']],
])

function write(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text, { mode })
}

beforeAll(() => {
  write(join(project, 'src/a'), 'a')
  write(join(project, 'src/b/c'), 'c')
  write(join(folder, 'first/interpreter'), '#!/bin/sh\nexec /bin/sh "$@"\n', 0o755)
  write(join(folder, 'second/tool'), `#!${folder}/first/interpreter\nmkdir -p out; cp src/a out/a; echo said\n`, 0o755)
  write(join(folder, 'no-folder'), 'a file')
  process.chdir(project)
})

function question(): RepeatQuestion {
  return { argv, environment, cwd: project, cacheDir, colours: false, nowMs: Date.now() }
}

interface Asked {
  readonly flags?: ReadonlyMap<string, unknown>
  readonly use?: (cache: Cache) => Promise<void>
}

/** As `recue run` does it; what is kept counts from the next change of a clock tick on. */
async function run({ flags: more = new Map(), use }: Asked = {}) {
  const witness = new HitWitness()
  const values = new Map([...flags, ['cacheDir', [cacheDir]], ...more])
  const given = [{ origin: 'flag', place: '', values }] as const
  const session = await openSession({ given, cwd: project, environment, evaluate: true, witness })
  const { cache } = session
  const [work] = worksAsked({ args: [], commandLine: ['tool'] }, { ...session, environment, stdin: undefined })
  if (work === undefined) throw new Error('no work')
  const sink = {
    stdout: (chunk: Uint8Array) => witness.printed('stdout', chunk),
    stderr: (chunk: Uint8Array) => witness.printed('stderr', chunk),
  }
  const index = indexStamp(cacheDir)?.text ?? ''
  const outcome = await cache.run(work.request, { sink, notice: () => witness.unsure(), witness })
  if (outcome.status === 'hit' && witness.isSure)
    keepRepeat(work, outcome, witness, { argv, environment, cwd: project, cacheDir, colours: false, index })
  await use?.(cache)
  await cache.close()
  return { outcome, witness, work }
}

/** Runs until a repeat is kept that holds: what is as young as its record is looked at again. */
async function keep(): Promise<void> {
  for (let round = 0; round < 30; round++) {
    await run()
    if (standingRepeat(question()) !== undefined) return
  }
  throw new Error('no repeat was ever kept')
}

/** Of a hit that found inputs and outputs as they were. */
async function standingHit(asked?: Asked): Promise<HitWitness> {
  for (let round = 0; round < 30; round++) {
    const { outcome, witness } = await run(asked)
    if (outcome.status === 'hit' && witness.inputs !== undefined && witness.outputs !== undefined) return witness
  }
  throw new Error('inputs or outputs never stood')
}

function holds(record: Uint8Array): boolean {
  writeFileSync(repeatPath(cacheDir, askedFor(argv, project)), record)
  return standingRepeat(question()) !== undefined
}

function saidBy(bytes: Buffer): string {
  const { facts, tree } = decodeRepeat(bytes) ?? {}
  return JSON.stringify([facts, tree?.paths, tree?.paths.map((_, i) => tree.identity(i))])
}

const inProject = (path: string) => join(project, path)

describe('a hit is repeated, by nothing but looks,', () => {
  test('with what it printed, and its exit code', async () => {
    await keep()
    const facts = standingRepeat(question())
    expect(facts?.chunks).toEqual([['stdout', Buffer.from('said\n').toString('base64')]])
    expect(facts).toMatchObject({ exitCode: 0, root: project, said: { files: 1, bytes: 1 } })
  })

  test('whatever the variables are that are in no key', async () => {
    await keep()
    expect(standingRepeat({ ...question(), environment: { ...environment, WITHHELD: 'else', CI: '1' } })).toBeDefined()
  })

  test('and no value of a variable is written down', async () => {
    await keep()
    const text = readFileSync(repeatPath(cacheDir, askedFor(argv, project)), 'latin1')
    expect(text).not.toContain('anything')
    expect(text).not.toContain(environment.PATH)
  })
})

describe('no hit is repeated after', () => {
  const changes: Readonly<Record<string, () => void>> = {
    'an input was written anew with its old size and time': () => {
      const { atime, mtime } = statSync(inProject('src/a'))
      writeFileSync(inProject('src/a'), 'b')
      utimesSync(inProject('src/a'), atime, mtime)
    },
    'an input was added': () => writeFileSync(inProject('src/b/new'), 'new'),
    'an input was renamed': () => renameSync(inProject('src/b/new'), inProject('src/b/newer')),
    'an input was removed': () => rmSync(inProject('src/b/newer')),
    'an input became executable': () => chmodSync(inProject('src/a'), 0o755),
    'a .gitignore appeared': () => writeFileSync(inProject('.gitignore'), 'src/b\n'),
    'package.json appeared': () => writeFileSync(inProject('package.json'), '{}'),
    'package.json was edited': () => writeFileSync(inProject('package.json'), '{ }'),
    'a lockfile appeared': () => writeFileSync(inProject('package-lock.json'), '{}'),
    'a config appeared': () => writeFileSync(inProject('recue.config.json'), '{}'),
    'the config was edited': () => writeFileSync(inProject('recue.config.json'), '{ "quiet": true }'),
    'the config went away': () => rmSync(inProject('recue.config.json')),
    'a config appeared above': () => writeFileSync(join(outer, 'recue.config.json'), '{}'),
    'the config above went away': () => rmSync(join(outer, 'recue.config.json')),
    'git was begun above': () => mkdirSync(join(outer, '.git')),
    'git was ended above': () => rmSync(join(outer, '.git'), { recursive: true }),
    'the user got a config': () => write(join(folder, 'config/recue/config.json'), '{ "salt": "x" }'),
    'the program was edited': () => appendFileSync(join(folder, 'second/tool'), '# more\n'),
    'the program got another time': () => utimesSync(join(folder, 'second/tool'), 1_000_000_000, 1_000_000_000),
    'the program was written anew with its old size and time': () => {
      const tool = join(folder, 'second/tool')
      writeFileSync(tool, readFileSync(tool, 'utf8').replace('more', 'less'))
      utimesSync(tool, 1_000_000_000, 1_000_000_000)
    },
    'its interpreter was edited': () => appendFileSync(join(folder, 'first/interpreter'), '# more\n'),
    'another program came before it': () =>
      write(join(folder, 'first/tool'), '#!/bin/sh\nmkdir -p out; echo 1 >out/a\n', 0o755),
    'the program before it could not be executed any more': () => chmodSync(join(folder, 'first/tool'), 0o644),
    'an output was edited': () => writeFileSync(inProject('out/a'), 'z'),
    'an output was deleted': () => rmSync(inProject('out/a')),
    'all outputs were deleted': () => rmSync(inProject('out'), { recursive: true }),
    'something else was put among the outputs': () => writeFileSync(inProject('out/mine'), 'mine'),
    'an output became executable': () => chmodSync(inProject('out/a'), 0o755),
    'the folder got another format': () => appendFileSync(join(cacheDir, 'FORMAT'), '\n'),
    'its record went to another user': () => {
      if (process.getuid?.() === 0) chownSync(repeatPath(cacheDir, askedFor(argv, project)), 1, 1)
      else rmSync(repeatPath(cacheDir, askedFor(argv, project)))
    },
  }

  test.each(Object.entries(changes))('%s', async (_, change) => {
    await keep()
    change()
    expect(standingRepeat(question())).toBeUndefined()
  })

  test('another recue kept it, or another start of the system, or for another question of the same checksum', async () => {
    await keep()
    const bytes = readFileSync(repeatPath(cacheDir, askedFor(argv, project)))
    const record = decodeRepeat(bytes)
    if (record === undefined) throw new Error('no record')
    for (const other of [{ version: '0' }, { boot: '0' }, { asked: '0' }])
      expect(holds(encodeRepeat({ ...record, facts: { ...record.facts, ...other } }))).toBe(false)
    expect(holds(encodeRepeat(record))).toBe(true)
  })

  test('a program was so young that it may have been written again unseen', async () => {
    await keep()
    const { work, outcome, witness } = await run()
    const { ctimeMs } = statSync(join(folder, 'second/tool'))
    const young: HitWitness = Object.create(witness, { startedMs: { value: ctimeMs } })
    keepRepeat(work, outcome, young, { ...question(), index: indexStamp(cacheDir)?.text ?? '' })
    expect(standingRepeat(question())).toBeUndefined()
  })

  test('half an hour, or before the clock was set back', async () => {
    await keep()
    const { nowMs } = question()
    expect(standingRepeat({ ...question(), nowMs: nowMs + 1_800_001 })).toBeUndefined()
    expect(standingRepeat({ ...question(), nowMs: nowMs - 3_600_000 })).toBeUndefined()
  })

  test('anything was written to the index', async () => {
    await keep()
    await using cache = await openCache({ cacheDir })
    await cache.records.save('config', 'anything', Buffer.from('x'))
    expect(standingRepeat(question())).toBeUndefined()
  })

  test('its result was removed', async () => {
    await keep()
    await using cache = await openCache({ cacheDir })
    await cache.gc({ targetBytes: 0 })
    expect(standingRepeat(question())).toBeUndefined()
  })

  test('any byte of its record changed, or some are missing', async () => {
    await keep()
    const bytes = readFileSync(repeatPath(cacheDir, askedFor(argv, project)))
    for (let at = 0; at < bytes.length; at += 29) {
      const damaged = Buffer.from(bytes)
      damaged[at] = (bytes[at] as number) ^ 4
      // What nobody reads of it may be anything.
      expect(!holds(damaged) || saidBy(damaged) === saidBy(bytes)).toBe(true)
      expect(holds(bytes.subarray(0, at))).toBe(false)
    }
    expect(holds(bytes)).toBe(true)
  })

  test.each([
    ['a variable in the key', { environment: { ...environment, LANG: 'de' } }],
    ['a variable that was asked for', { environment: { ...environment, ASKED: 'two' } }],
    ['a variable less', { environment: { ...environment, ASKED: undefined } }],
    ['the search path', { environment: { ...environment, PATH: '/bin' } }],
    ["recue's own variables", { environment: { ...environment, RECUE_SALT: 'x' } }],
    ['variables of its own that were not set', { environment: { ...environment, RECUE_QUIET: '1' } }],
    ['arguments', { argv: [...argv, 'more'] }],
    ['the recue', { argv: ['node', 'other', ...argv.slice(2)] }],
    ['the folder', { cwd: outer }],
    ['the terminal', { colours: true }],
  ])('a change of %s', async (_, other) => {
    await keep()
    expect(standingRepeat({ ...question(), ...other })).toBeUndefined()
  })
})

describe('no hit is kept for repeating', () => {
  test.each([
    ['a root that was named', new Map([['root', [outer]]])],
    ['a tool whose version is asked for', new Map([['tool', ['tool=true']]])],
  ])('with %s', async (_, more) => {
    expect((await standingHit({ flags: more })).isSure).toBe(false)
  })

  test('by a config that is code and asks others', async () => {
    write(inProject('recue.config.mjs'), "import os from 'node:os'\nexport default { quiet: os.EOL === '' }\n")
    expect((await standingHit()).isSure).toBe(false)
    rmSync(inProject('recue.config.mjs'))
  })

  test('where a link leads to what was read', async () => {
    rmSync(inProject('package.json'), { force: true })
    write(inProject('elsewhere.json'), '{}')
    symlinkSync('elsewhere.json', inProject('package.json'))
    expect((await standingHit()).isSure).toBe(false)
    rmSync(inProject('package.json'))
  })

  test('where a line had to be said, or more was printed than is worth it', async () => {
    await keep()
    const { witness } = await run()
    expect(witness.isSure).toBe(true)
    witness.printed('stderr', new Uint8Array(64 << 10))
    expect(witness.isSure).toBe(false)
  })

  test('by other settings, in another folder, or while the index is written to', async () => {
    await keep()
    const { settings } = (await run()).work
    const cache = { dir: cacheDir, readOnly: false }
    const at = { environment: { RECUE_CACHE_DIR: cacheDir }, startedMs: Date.now() + 10_000 }
    expect(repeatableAt(cache, settings, at)).toBe(indexStamp(cacheDir)?.text)
    expect(repeatableAt(cache, settings, { ...at, startedMs: Date.now() })).toBeUndefined()
    expect(repeatableAt(cache, settings, { ...at, environment: { HOME: folder } })).toBeUndefined()
    expect(repeatableAt({ ...cache, readOnly: true }, settings, at)).toBeUndefined()
    for (const more of [
      { json: true },
      { report: 'r' },
      { verbose: true },
      { stdin: true },
      { remote: 'x' },
      { ttl: 1 },
    ])
      expect(repeatableAt(cache, { ...settings, ...more }, at)).toBeUndefined()
  })
})
