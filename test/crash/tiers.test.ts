import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { OPEN } from '../../src/server/access.ts'
import { type RunningServer, serve } from '../../src/server/serve.ts'
import { DEFAULT_SCOPE } from '../../src/store/contracts.ts'
import { type LocalStore, openLocalStore } from '../../src/store/local/local-store.ts'
import { readWhole } from '../../src/store/read-whole.ts'
import { openRemote } from '../../src/store/remote/open-remote.ts'
import { type Left, type TransferReport, tiered } from '../../src/store/tiered/tiered.ts'
import { type EntryShape, entryOf } from './entries.ts'
import { type Runtime, startWorker } from './processes.ts'

/** How many times as often; RECUE_CRASH_MORE=10 for a long run. */
const MORE = Number(process.env.RECUE_CRASH_MORE ?? 1)
const PROGRAM = fileURLToPath(new URL('tiers-worker.ts', import.meta.url))
const shapeOf = (largeBytes: number): EntryShape => ({ files: 6, fileBytes: 3000, sharedFiles: 2, largeBytes })

let used: AsyncDisposableStack
let dir: string
let far: LocalStore
let server: RunningServer
beforeEach(async () => {
  used = new AsyncDisposableStack()
  dir = mkdtempSync(join(tmpdir(), 'recue-crash-'))
  used.defer(() => rmSync(dir, { recursive: true, force: true }))
  far = used.use(await openLocalStore({ dir: join(dir, 'far') }))
  server = used.use(await serve(far, { http: { kind: 'tcp', host: '127.0.0.1', port: 0 }, gate: OPEN }))
})
afterEach(() => used.disposeAsync())

/** Starts a process that keeps and uploads, kills it at some random moment, and says what it had kept by then. */
async function killed(seed: string, mostMs: number, largeBytes: number, runtime: Runtime): Promise<string[]> {
  const args = [join(dir, 'near'), server.grpcUrl, seed, '200', String(largeBytes)]
  const worker = startWorker(args, runtime, PROGRAM)
  await worker.said('ready')
  await pause(Math.random() * mostMs)
  worker.child.kill('SIGKILL')
  const { stderr } = await worker.ended
  expect(stderr).toBe('')
  return worker.lines.flatMap((line) => (line.startsWith('saved ') ? [line.slice('saved '.length)] : []))
}

/** `lost`: it is there, and not whole. What was printed may have become a blob on its way, which is the server's to decide. */
async function stateOf(store: LocalStore, name: string, shape: EntryShape): Promise<'whole' | 'absent' | 'lost'> {
  const { key, result, blobs } = entryOf(name, shape)
  const found = await store.actions.get(DEFAULT_SCOPE, key)
  if (found.kind === 'miss') return 'absent'
  const { outputDirectories, outputFiles } = found.result
  expect({ outputDirectories, outputFiles }).toEqual({
    outputDirectories: result.outputDirectories,
    outputFiles: result.outputFiles,
  })
  // But for the messages of its action, which no result names.
  const needed = [...blobs.slice(0, shape.files + 1), ...blobs.slice(shape.files + 4)]
  for (const { digest, bytes } of needed)
    if (!bytes.equals((await readWhole(store.blobs, DEFAULT_SCOPE, digest)) ?? Buffer.alloc(0))) return 'lost'
  return 'whole'
}

/** As the next process does that puts something. */
async function finish(): Promise<Left> {
  await using near = await openLocalStore({ dir: join(dir, 'near') })
  await using end = await openRemote(server.grpcUrl)
  await using tier = tiered(near, async () => end, { place: 'server' })
  await tier.resume()
  return await tier.flush(60_000)
}

async function pulledElsewhere(names: readonly string[], shape: EntryShape): Promise<TransferReport> {
  await using near = await openLocalStore({ dir: join(dir, 'elsewhere') })
  await using end = await openRemote(server.grpcUrl)
  await using tier = tiered(near, async () => end, { place: 'server' })
  const report = await tier.pull(
    DEFAULT_SCOPE,
    names.map((name) => entryOf(name, shape).key),
  )
  for (const name of names) expect([name, await stateOf(near, name, shape)]).toEqual([name, 'whole'])
  return report
}

test.each([
  ['small blobs', 0, 6, 'node'],
  ['large blobs', 1_300_000, 4, 'node'],
  ['large blobs, in Bun', 1_300_000, 3, 'bun'],
] as const)('killed while it uploads, %s: what it kept is uploaded by the next process, whole', async (...row) => {
  const [, largeBytes, times, runtime] = row
  const shape = shapeOf(largeBytes)
  const kept: string[] = []
  for (let i = 0; i < times * MORE; i++) {
    const saved = await killed(`k${i}`, 400, largeBytes, runtime)
    kept.push(...saved)
    // Whole or not there at any moment, for others too.
    for (const name of [...saved, `k${i}-${saved.length}`]) expect(await stateOf(far, name, shape)).not.toBe('lost')
  }
  expect(kept.length).toBeGreaterThan(0)
  expect(await finish()).toEqual({ uploads: 0, downloads: 0 })
  for (const name of kept) expect([name, await stateOf(far, name, shape)]).toEqual([name, 'whole'])
  expect(await pulledElsewhere(kept, shape)).toMatchObject({ actions: kept.length, absent: [], failed: [] })
})

test('two processes that find the same to be uploaded share the work', async () => {
  const shape = shapeOf(0)
  const kept = await killed('k', 100, 0, 'node')
  const lefts = await Promise.all(
    [0, 1].map(async (at) => {
      const worker = startWorker([join(dir, 'near'), server.grpcUrl, `w${at}`, '5', '0'], 'node', PROGRAM)
      await worker.said('done')
      return (await worker.ended).code
    }),
  )
  expect(lefts).toEqual([0, 0])
  expect(await finish()).toEqual({ uploads: 0, downloads: 0 })
  const all = [...kept, ...[0, 1].flatMap((at) => Array.from({ length: 5 }, (_, i) => `w${at}-${i}`))]
  for (const name of all) expect([name, await stateOf(far, name, shape)]).toEqual([name, 'whole'])
})
