import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { openLocalStore } from '../../src/store/local/local-store.ts'
import { reflinkFolder } from '../../src/store/local/reflink-folder.fixture.ts'
import { bytesOf, saveEntry } from './entries.ts'
import { MIXED, OLD, sourceOf } from './every-call-entries.ts'
import { contentsOf, expectAccounted, type IndexContents, rebuiltContents } from './index-contents.ts'
import { COMPILED } from './processes.ts'
import { entriesOfStore, expectTidy, filesBelow } from './store-checks.ts'
import { countCalls, hasStrace, killAt, runOnce, type SystemCall, type Traced, type TracedEnd } from './system-calls.ts'

/**
 * kill -9 at the system calls that change anything, one process for each: all of them with RECUE_CRASH_ALL=1, else so many
 * of each job, evenly over its time. `kill.test.ts` kills at random moments, with or without strace.
 */
const SAMPLE = process.env.RECUE_CRASH_ALL === '1' ? Number.POSITIVE_INFINITY : 8
const AT_ONCE = 3
const WORKER = join(import.meta.dirname, 'every-call-worker.ts')
const NEW = ['new-0', 'new-1']

const isTraceable = hasStrace()
if (!isTraceable) console.log('skipped: strace is not installed (kill -9 at every system call)')
let dir: string
let original: string

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'recue-calls-'))
  original = join(dir, 'original')
  await using store = await openLocalStore({ dir: original })
  for (const name of OLD) await saveEntry(store, name, MIXED)
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

interface Job {
  /** Where the folders of its runs are; undefined: where others are. */
  readonly base?: string
  /** Makes a fresh folder for one run, and says what to run in it. */
  readonly prepare: (folder: string) => Traced
  /** After a kill, or at the end of the run. */
  readonly check: (folder: string, end: TracedEnd, call: SystemCall) => Promise<void>
}

/** Every call once, several at a time. */
async function killAtCalls(job: Job): Promise<void> {
  const { base = dir } = job
  const first = join(base, 'first')
  await runOnce(job.prepare(first))
  rmSync(first, { recursive: true })
  const { calls: all } = await countCalls(job.prepare(first))
  rmSync(first, { recursive: true })
  const step = Math.max(1, all.length / SAMPLE)
  const calls = Array.from({ length: Math.ceil(all.length / step) }, (_, i) => all[Math.floor(i * step)] as SystemCall)
  const rest = [...calls.entries()]
  let killed = 0
  const killSome = async () => {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
      const [number, call] = next
      const folder = join(base, `killed-${number}`)
      const end = await killAt(job.prepare(folder), call)
      if (end.signal === 'SIGKILL') killed++
      try {
        await job.check(folder, end, call)
      } catch (error) {
        const kept = process.env.RECUE_CRASH_KEEP
        if (kept !== undefined) cpSync(folder, join(kept, `${number}-${call.name}-${call.nth}`), { recursive: true })
        throw new Error(`killed at ${call.thread} ${call.name} ${call.nth}: ${call.text}`, { cause: error })
      }
      rmSync(folder, { recursive: true })
    }
  }
  const outcomes = await Promise.allSettled(Array.from({ length: AT_ONCE }, killSome))
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
  if (failures.length > 0) throw failures[0]
  console.log(`${killed} kills at ${calls.length} of ${all.length} calls`)
  // A call more or less is the runtime's; that the calls are there and are met is not.
  expect(all.length).toBeGreaterThan(60)
  expect(killed).toBeGreaterThan(calls.length * 0.9)
}

function ofStore(job: string, prepare: (store: string) => void = () => undefined): Job['prepare'] {
  return (folder) => {
    cpSync(original, folder, { recursive: true })
    prepare(folder)
    return { args: [WORKER, folder, job] }
  }
}

/** Reopened, every entry is whole or absent; one more save, and no byte is left of what was under way; a count is right. */
async function expectSound(folder: string, options: { must: readonly string[]; mayComeBack: boolean }): Promise<void> {
  const names = [...OLD, ...NEW]
  const first = await entriesOfStore(folder, names, MIXED)
  expect(first).toEqual(expect.arrayContaining([...options.must]))
  {
    await using store = await openLocalStore({ dir: folder })
    await saveEntry(store, 'after', MIXED)
  }
  expect(readdirSync(join(folder, 'tmp'))).toEqual([])
  const recovered = await entriesOfStore(folder, names, MIXED)
  expect(recovered).toEqual(expect.arrayContaining(first))
  await expectTidy(folder)
  expect(readdirSync(join(folder, 'locks'))).toEqual([])
  expectAccounted(folder)
  expect(await entriesOfStore(folder, [...names, 'after'], MIXED)).toEqual([...recovered, 'after'])
  expectSame(contentsOf(folder), await rebuiltContents(folder), options.mayComeBack)
}

/** What a collection took from the index and had not written down when it was killed comes back with a rebuild, whole. */
function expectSame(index: IndexContents, rebuilt: IndexContents, mayComeBack: boolean): void {
  for (const kind of ['blobs', 'actions'] as const) {
    const said = [...index[kind]].sort()
    const found = [...rebuilt[kind]].sort()
    if (mayComeBack) expect(found).toEqual(expect.arrayContaining(said))
    else expect(found).toEqual(said)
  }
}

const savedIn = (lines: readonly string[]) =>
  lines.flatMap((line) => (line.startsWith('saved ') ? [line.slice('saved '.length)] : []))

function setVersion(store: string, version: number): void {
  const db = new DatabaseSync(join(store, 'index.db'))
  db.exec(`PRAGMA user_version=${version}`)
  db.close()
}

const PUT: Job = {
  prepare: ofStore('put'),
  check: (folder, { lines }) => expectSound(folder, { must: [...OLD, ...savedIn(lines)], mayComeBack: false }),
}
const CHUNKED: Job = { ...PUT, prepare: ofStore('put-chunked') }
const DRAIN: Job = {
  prepare: ofStore('drain'),
  check: (folder) => expectSound(folder, { must: OLD, mayComeBack: false }),
}
const FIRST_PUT: Job = {
  prepare: (folder) => ({ args: [WORKER, folder, 'put'] }),
  check: (folder, { lines }) => expectSound(folder, { must: savedIn(lines), mayComeBack: false }),
}
const COLLECT: Job = {
  prepare: ofStore('collect'),
  check: (folder) => expectSound(folder, { must: [], mayComeBack: true }),
}
const REBUILD: Job = {
  prepare: ofStore('open', (store) => rmSync(join(store, 'index.db'))),
  check: (folder) => expectSound(folder, { must: OLD, mayComeBack: false }),
}
const OLDER_INDEX: Job = {
  prepare: ofStore('open', (store) => setVersion(store, 0)),
  check: (folder) => expectSound(folder, { must: OLD, mayComeBack: false }),
}

describe.skipIf(!isTraceable)('kill -9 at every system call of', () => {
  test.each([
    ['a put', PUT],
    ['the first put into a new folder', FIRST_PUT],
    ['a put of a blob in chunks', CHUNKED],
    ['a collection that compacts', COLLECT],
    ['a compaction without room for a copy', DRAIN],
    ['an opening that builds the index', REBUILD],
    ['an opening that finds an index of an older version', OLDER_INDEX],
  ])('%s: what was acknowledged is whole, nothing else is left', async (_name, job) => {
    await killAtCalls(job)
  })
})

test.skipIf(!isTraceable)('kill -9 at every system call of a put of a cloned file', async ({ skip }) => {
  const base = reflinkFolder(onTestFinished)
  if (base === undefined) console.log('skipped: no file system that clones files can be had (kill -9 in a clone)')
  skip(base === undefined, 'no file system that clones files can be had')
  await killAtCalls({
    ...PUT,
    base: String(base),
    prepare(folder) {
      for (const name of NEW) writeFileSync(sourceOf(folder, name), bytesOf(`${name} large`, MIXED.largeBytes))
      return ofStore('put-cloned')(folder)
    },
  })
})

const CLI = join(import.meta.dirname, '../../src/cli/main.ts')
const GATE = join(import.meta.dirname, 'gate-first.ts')
const BUILD = `
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
appendFileSync(process.env.RUNS_FILE, 'ran\\n')
mkdirSync('dist/sub', { recursive: true })
for (let i = 0; i < 3; i++) writeFileSync('dist/sub/' + i + '.js', 'content ' + i)
writeFileSync('dist/large.bin', Buffer.alloc(1_200_000, 'recue'))
writeFileSync('beside.txt', 'beside')
`

/** A project beside its cache; its outputs were kept once and are deleted. */
function projectIn(
  folder: string,
  outputs: readonly string[],
): { args: string[]; cwd: string; env: NodeJS.ProcessEnv } {
  const cwd = join(folder, 'project')
  const env = { RECUE_CACHE_DIR: join(folder, 'cache'), RUNS_FILE: join(folder, 'runs'), HOME: folder }
  const declared = outputs.flatMap((path) => ['-o', path])
  const args = [CLI, 'run', '-i', 'build.mjs', ...declared, '--pass-env', 'RUNS_FILE', '--', 'node', 'build.mjs']
  return { args, cwd, env }
}

function runIn(folder: string, outputs: readonly string[]): void {
  const { args, cwd, env } = projectIn(folder, outputs)
  const { status, stderr } = spawnSync(process.execPath, args, {
    cwd,
    env: { ...process.env, ...env, NODE_COMPILE_CACHE: COMPILED },
  })
  expect([status, `${stderr}`]).toEqual([0, expect.any(String)])
}

const treeOf = (folder: string) =>
  new Map(
    [...filesBelow(join(folder, 'project')).keys()].map((path) => [
      path.slice(folder.length),
      readFileSync(path, 'hex'),
    ]),
  )

async function expectEmptyAfterADay(cache: string): Promise<void> {
  await using store = await openLocalStore({ dir: cache, now: () => Date.now() + 25 * 3_600_000 })
  await store.catalog.collect()
  expect(readdirSync(join(cache, 'tmp'))).toEqual([])
}

describe.skipIf(!isTraceable)('kill -9 at every system call of a hit that restores', () => {
  test.each([
    // Not guarded by a record: it is whole or absent by itself, and a killed one leaves what it staged for a day.
    ['by one rename', ['dist'], false],
    ['by several changes', ['dist', 'beside.txt'], true],
  ])('%s: the next run has all of it, without running the command again', async (name, outputs, isGuarded) => {
    const kept = join(dir, name)
    mkdirSync(join(kept, 'project'), { recursive: true })
    writeFileSync(join(kept, 'project/build.mjs'), BUILD)
    runIn(kept, outputs)
    const built = treeOf(kept)
    for (const path of outputs) rmSync(join(kept, 'project', path), { recursive: true })
    await killAtCalls({
      prepare(folder) {
        cpSync(kept, folder, { recursive: true })
        const { args, ...where } = projectIn(folder, outputs)
        return { args: ['--import', GATE, ...args], ...where }
      },
      async check(folder) {
        const cache = join(folder, 'cache')
        runIn(folder, outputs)
        expect(treeOf(folder)).toEqual(built)
        expect(readFileSync(join(folder, 'runs'), 'utf8')).toBe('ran\n')
        expect(existsSync(join(cache, 'trash')) ? readdirSync(join(cache, 'trash')) : []).toEqual([])
        if (isGuarded) expect(readdirSync(join(cache, 'tmp'))).toEqual([])
        else await expectEmptyAfterADay(cache)
      },
    })
  })
})
