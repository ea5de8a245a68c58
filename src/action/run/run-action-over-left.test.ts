import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ActionDigest } from '../../digest/digest.ts'
import { DEFAULT_SCOPE } from '../../store/contracts.ts'
import { openLocalStore } from '../../store/local/local-store.ts'
import { type MemoryStore, memoryStore } from '../../store/memory/memory-store.ts'
import { tiered } from '../../store/tiered/tiered.ts'
import { type ActionDescription, describeAction } from '../describe-action.ts'
import type { LeftOutputs } from '../outputs/left-outputs.ts'
import type { LeftBefore, RunNotice, RunOptions, RunOutcome } from '../run-outcome.ts'
import { runAction } from './run-action.ts'

let folder: string
let far: MemoryStore
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'recue-over-left-')))
  far = memoryStore()
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const LIB = { shell: 'mkdir -p lib; cp src/a lib/a', inputs: ['src'], outputs: ['lib'] }
const APP = { shell: 'cp lib/a app', inputs: ['lib/**'], outputs: ['app'] }

interface Done extends RunOutcome {
  readonly notices: readonly RunNotice[]
  /** What it said was left. */
  readonly left: LeftOutputs | undefined
  readonly fetches: number
}

/** A machine with a cache and a checkout of its own; what it keeps, the others find far. */
class Machine {
  readonly root: string
  readonly #dir: string

  constructor(name: string) {
    this.root = join(folder, name)
    this.#dir = join(folder, `${name}-cache`)
    this.write('src/a', 'content')
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true })
    writeFileSync(join(this.root, path), text)
  }

  /** With `before`, over what was left of other work; fetching it is doing that again. */
  async run(
    work: ActionDescription,
    how: { leaves?: boolean; before?: readonly [ActionDescription, LeftOutputs][] } & Partial<RunOptions> = {},
  ): Promise<Done> {
    const { leaves = false, before, ...options } = how
    await using near = await openLocalStore({ dir: this.#dir })
    await using tier = tiered(near, async () => far, { place: 'far', fetch: leaves ? 'asked' : 'all' })
    const request = describeAction({ ...work, root: this.root, cwd: this.root, implicitInputs: false })
    const engine = {
      ...{ blobs: tier.blobs, actions: tier.actions, records: near.records, leases: near.leases },
      ...{ scope: DEFAULT_SCOPE, cacheDir: near.dir, home: '/nonexistent/home', leavesOutputs: leaves },
      ...{ trashDir: join(near.dir, 'trash'), tmpDir: join(near.dir, 'tmp') },
    }
    const notices: RunNotice[] = []
    let left: LeftOutputs | undefined
    let fetches = 0
    const whole = { ...DEFAULTS, notice: (said: RunNotice) => void notices.push(said), ...options }
    const fetch = async () => {
      fetches++
      for (const [first] of before ?? []) {
        const again = describeAction({ ...first, root: this.root, cwd: this.root, implicitInputs: false })
        await runAction(again, { ...engine, leavesOutputs: false }, DEFAULTS)
      }
    }
    const standing: LeftBefore | undefined = before && { outputs: before.map(([, outputs]) => outputs), fetch }
    const onLeft = (outputs: LeftOutputs) => {
      left = outputs
    }
    const outcome = await runAction(request, engine, { left: standing, ...(leaves && { onLeft }), ...whole })
    await tier.flush(10_000)
    return { ...outcome, notices, left, fetches }
  }

  names(): string[] {
    return readdirSync(this.root).filter((name) => name !== 'src')
  }
}

const DEFAULTS: RunOptions = {
  ...{ read: true, write: true, force: false, cacheFailures: false, clean: true, interactive: false },
  ...{ terminal: undefined, stripForcedColours: false, timeoutMs: undefined, waitMs: undefined, scratch: [] },
  ...{ replayOutput: true, liveOutput: true, sink: { stdout() {}, stderr() {} }, notice() {} },
}

/** Another machine has made both; on this one the first was found far, and left there. */
async function afterLib(lib: ActionDescription = LIB, app: ActionDescription = APP) {
  const maker = new Machine('maker')
  await maker.run(lib)
  const made = await maker.run(app)
  const here = new Machine('here')
  const { left } = await here.run(lib, { leaves: true })
  const over = (options: Parameters<Machine['run']>[1] = {}, work = app) =>
    here.run(work, { before: [[lib, left as LeftOutputs]], ...options })
  return { here, left, made, over }
}

test('what is kept of work that reads them is found under its key, and nothing is fetched for it', async () => {
  const { here, left, made, over } = await afterLib()
  expect(left?.entries.map(({ kind, path }) => `${kind} ${path}`)).toEqual(['directory lib', 'file lib/a'])
  const found = await over()
  expect(found).toMatchObject({ status: 'hit', source: 'remote', isLeft: false, key: made.key, fetches: 0 })
  expect(here.names()).toEqual(['app'])
  // The files were never there: no later run takes them for known.
  expect(await here.run(APP).catch((error: unknown) => error)).toMatchObject({ code: 'input.no-match' })
  expect(await here.run(LIB)).toMatchObject({ status: 'hit', written: 1 })
  expect(await here.run(APP)).toMatchObject({ status: 'hit', key: made.key })
})

test('work that builds on work that was left can be left, too', async () => {
  const { here, over } = await afterLib()
  const found = await over({ leaves: true })
  expect(found).toMatchObject({ status: 'hit', isLeft: true, fetches: 0 })
  expect(found.left?.entries).toMatchObject([{ kind: 'file', path: 'app' }])
  expect(here.names()).toEqual([])
})

test('a command that has to run finds them in their place', async () => {
  const { here, over } = await afterLib()
  const ran = await over({}, { ...APP, shell: 'cat lib/a lib/a > app' })
  expect(ran).toMatchObject({ status: 'miss', fetches: 1 })
  expect(readFileSync(join(here.root, 'app'), 'utf8')).toBe('contentcontent')
})

test.each([
  ['it is forced', { force: true }],
  ['nothing is to be read', { read: false }],
  ['it has the terminal', { interactive: true }],
])('they are fetched where %s', async (_, options) => {
  const { over } = await afterLib()
  expect(await over(options)).toMatchObject({ fetches: 1, exitCode: 0, source: undefined })
})

test('they are fetched where something has come to stand in their place', async () => {
  const { here, over } = await afterLib()
  here.write('lib/own', 'of the user')
  const found = await over()
  expect(found).toMatchObject({ status: 'hit', fetches: 1 })
  expect(readdirSync(join(here.root, 'lib'))).toEqual(['a'])
})

test('they are fetched where a tool is known by what its command prints', async () => {
  const { over } = await afterLib(LIB, { ...APP, tools: { sh: 'cat lib/a' } })
  expect(await over()).toMatchObject({ status: 'hit', fetches: 1 })
})

test('they are fetched where outputs would lie among them', async () => {
  const { over } = await afterLib(LIB, { ...APP, shell: 'cp lib/a lib/b', inputs: ['lib/a'], outputs: ['lib/b'] })
  expect(await over()).toMatchObject({ fetches: 1 })
})

test('who cannot have them does not begin', async () => {
  const { here, left } = await afterLib()
  const none = new Error('no')
  const before: LeftBefore = { outputs: [left as LeftOutputs], fetch: () => Promise.reject(none) }
  await expect(here.run({ ...APP, shell: 'touch began' }, { left: before })).rejects.toBe(none)
  expect(existsSync(join(here.root, 'began'))).toBe(false)
})

test('what is moved aside for a hit is told once', async () => {
  const { here, over } = await afterLib()
  here.write('app', 'of the user')
  const found = await over()
  expect([found.fetches, found.notices]).toMatchObject([0, [{ kind: 'trashed', paths: ['app'] }]])
})

test.each([
  ['where something stands in their place', LIB, 'lib/own'],
  ['where a .gitignore is among them', { ...LIB, shell: `${LIB.shell}; touch lib/.gitignore` }, undefined],
  ['where a .git could be', { ...LIB, shell: `${LIB.shell}; mkdir lib/.GIT; touch lib/.GIT/HEAD` }, undefined],
])('outputs that others build on are not left %s', async (_, lib, standing) => {
  await new Machine('maker').run(lib)
  const here = new Machine('here')
  if (standing !== undefined) here.write(standing, 'of the user')
  const found = await here.run(lib, { leaves: true })
  expect(found).toMatchObject({ status: expect.stringMatching(/hit|uncached/), isLeft: false, left: undefined })
  expect(readFileSync(join(here.root, 'lib/a'), 'utf8')).toBe('content')
})

test('a result that has more than was declared is not left, as it would not be restored', async () => {
  const made = await new Machine('maker').run(LIB)
  const key = made.key as ActionDigest
  const found = await far.actions.get(DEFAULT_SCOPE, key)
  if (found.kind === 'miss') throw new Error('nothing is kept')
  const outputSymlinks = [{ path: 'src/b', target: 'a', nodeProperties: undefined }]
  await far.actions.put(DEFAULT_SCOPE, key, { ...found.result, outputSymlinks })
  const here = new Machine('here')
  const ran = await here.run(LIB, { leaves: true })
  expect([ran.status, ran.left, existsSync(join(here.root, 'src/b'))]).toEqual(['uncached', undefined, false])
})
