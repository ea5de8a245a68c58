import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { functionRequest } from '../../src/action/run/run-function.ts'
import type { CommandTurn } from '../../src/action/run-outcome.ts'
import { type Cache, openCache } from '../../src/cache.ts'
import { thingOf } from '../../src/observe/thing.ts'
import { temporaryServer } from '../../src/server/temporary-server.fixture.ts'

let used: AsyncDisposableStack
let folder: string
let address: string
beforeEach(async () => {
  used = new AsyncDisposableStack()
  folder = mkdtempSync(join(tmpdir(), 'recue-fleet-runs-'))
  used.defer(() => rmSync(folder, { recursive: true, force: true }))
  address = used.use(await temporaryServer()).url.replace('http:', 'grpc:')
})
afterEach(() => used.disposeAsync())

const NAME = 'long work'

/** One that knows from experience that the work takes a minute. */
async function machine(name: string): Promise<Cache> {
  const remote = { address, uploadWait: '10s', timeout: '20s' }
  const cache = used.use(await openCache({ cacheDir: join(folder, name), remote }))
  const { root, workingDirectory, argv } = functionRequest({ name: NAME, fn: () => 0, root: folder, cwd: folder })
  const thing = thingOf({ root, workingDirectory, task: NAME, argv })
  const text = { label: '', reason: '', source: '', tool: '' }
  const numbers = { startedMs: 1, exitCode: 0, durationMs: 60_000, savedMs: 0, ownUs: 0, bytes: 0, count: 0 }
  cache.ledger.append({ thing, root, status: 'miss', key: undefined, ...text, ...numbers })
  return cache
}

/** Work that begins, and ends when the test says so. */
function held(outputs: readonly string[] = []) {
  const begun = Promise.withResolvers<void>()
  const end = Promise.withResolvers<string>()
  const fn = () => {
    begun.resolve()
    return end.promise
  }
  return { work: { name: NAME, fn, cwd: folder, root: folder, outputs }, isBegun: begun.promise, ...end }
}

function waiting() {
  const told = Promise.withResolvers<string>()
  return {
    holder: told.promise,
    notice: (notice: { readonly kind: string; readonly holder?: string }) => {
      if (notice.kind === 'waiting') told.resolve(notice.holder ?? '')
    },
  }
}

test('of two machines one does the work; the other waits, gives its turn away, and has the result', async () => {
  const [one, other] = await Promise.all([machine('one'), machine('other')])
  const first = held()
  const doing = one.run(first.work)
  await first.isBegun
  const { holder, notice } = waiting()
  let given = 0
  const turn = async (): Promise<CommandTurn> => ({ hasWaited: false, giveBack: () => given++ })
  const waits = other.run({ ...first.work, fn: () => 'done twice' }, { notice, turn })
  expect(await holder).toMatch(/^long work on .+ \(another machine; usually 1 min( 0 s)?\)$/)
  expect(given).toBe(1)
  first.resolve('done once')
  expect((await doing).outcome.status).toBe('miss')
  const { value, outcome } = await waits
  expect([value, outcome.status, outcome.source]).toEqual(['done once', 'hit', 'remote'])
})

test.each(['keeps nothing', 'breaks down'])('where it %s, the other does the work, and keeps it', async (what) => {
  const [one, other] = await Promise.all([machine('one'), machine('other')])
  const first = held(what === 'keeps nothing' ? ['never made'] : [])
  const doing = one.run(first.work)
  await first.isBegun
  const { holder, notice } = waiting()
  const turns: boolean[] = []
  const turn = async (): Promise<CommandTurn> => {
    turns.push(true)
    return { hasWaited: false, giveBack() {} }
  }
  const waits = other.run({ ...first.work, fn: () => 'done again' }, { notice, turn })
  await holder
  if (what === 'keeps nothing') first.resolve('')
  else first.reject(new Error('broken'))
  await doing.catch(() => undefined)
  expect((await waits).value).toBe('done again')
  // One for the look, and another one for the work.
  expect(turns).toHaveLength(2)
})

test('who is told to wait no longer does the work as well', async () => {
  const [one, other] = await Promise.all([machine('one'), machine('other')])
  const first = held()
  const doing = one.run(first.work)
  await first.isBegun
  const { holder, notice } = waiting()
  const { outcome } = await other.run({ ...first.work, fn: () => 'done twice' }, { notice, waitMs: 200 })
  expect(outcome.status).toBe('miss')
  await holder
  first.resolve('done once')
  await doing
})
