import { existsSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { type ActionDigest, asActionDigest, type Digest } from '../../src/digest/digest.ts'
import { digestOf } from '../../src/digest/sha256.ts'
import { isCacheError } from '../../src/errors.ts'
import { ActionResult } from '../../src/proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { cached } from '../../src/store/cached/cached-store.ts'
import { DEFAULT_SCOPE as scope } from '../../src/store/contracts.ts'
import { openLocalStore } from '../../src/store/local/local-store.ts'
import { readWhole } from '../../src/store/read-whole.ts'
import { bytesOf } from './entries.ts'
import type { Operation } from './history.ts'
import { HistoryLog } from './history-log.ts'

/**
 * One of a crowd that writes down all that it does: `node history-worker.ts DIR LOGS NUMBER TIER EVICTING`, with TIER `local` or
 * `cached`. It goes on until there is a file `stop` beside DIR.
 */
const [dir = '', logs = '', number = '0', tier = 'local', evicting = ''] = process.argv.slice(2)
const AT_ONCE = 64
const KEYS = 24
const BLOBS = 60

await using local = await openLocalStore({ dir })
using memory = tier === 'cached' ? cached(local, { memoryBytes: 8 << 20 }) : undefined
const { actions, blobs } = memory ?? local
using log = new HistoryLog(logs, Number(number))
const random = randomOf(Number(number))
let values = 0

process.stdout.write('ready\n')
await Promise.all(Array.from({ length: AT_ONCE }, () => work().catch(fail)))
process.stdout.write('done\n')

async function work(): Promise<void> {
  while (!existsSync(`${dir}/../stop`)) {
    const choice = random(1000)
    if (choice < 150) await put(`action-${random(KEYS)}`)
    else if (choice < 550) await get(`action-${random(KEYS)}`)
    else if (choice < 580) await remove(`action-${random(KEYS)}`)
    else if (choice < 583) await collect()
    else if (choice < 700) await write(random(BLOBS))
    else if (choice < 900) await read(random(BLOBS))
    else await pause(random(8))
  }
}

/** Here and now: the store would be closed under the others. */
function fail(error: unknown): never {
  console.error(error)
  process.exit(1)
}

type Ended = Pick<Operation, 'outcome' | 'value'>

function logged(kind: Operation['kind'], key: string, operation: () => Promise<Ended>, value?: string): Promise<void> {
  return log.run(value === undefined ? { kind, key } : { kind, key, value }, operation, isExpected)
}

/** A put whose blob a collection took, and a writer that others kept out for long. */
function isExpected(error: unknown): boolean {
  return isCacheError(error) && (error.code === 'store.incomplete' || error.code === 'store.busy')
}

function put(key: string): Promise<void> {
  const value = `${number}-${values++}`
  const { result, contents } = resultOf(value)
  const work = async () => {
    await Promise.all(contents.map((bytes) => blobs.write(scope, digestOf(bytes), bytes)))
    await actions.put(scope, digestOfKey(key), result)
    return { outcome: 'done' } as const
  }
  return logged('put', key, work, value)
}

function get(key: string): Promise<void> {
  return logged('get', key, async () => {
    const found = await actions.get(scope, digestOfKey(key))
    if (found.kind === 'miss') return { outcome: found.why === 'corrupt' ? 'wrong' : 'absent' }
    const value = Buffer.from(found.result.stdoutRaw).toString()
    const { result, contents } = resultOf(value)
    const isSame = Buffer.from(ActionResult.encode(found.result).finish()).equals(ActionResult.encode(result).finish())
    const states = await Promise.all(contents.map(stateOf))
    const isRight = isSame && !states.includes('wrong')
    return { outcome: !isRight ? 'wrong' : states.includes('absent') ? 'lost' : 'done', value }
  })
}

function remove(key: string): Promise<void> {
  return logged('remove', key, async () => ({
    outcome: (await actions.remove(scope, digestOfKey(key))) ? 'done' : 'absent',
  }))
}

function collect(): Promise<void> {
  return logged('collect', '', async () => {
    await local.catalog.collect(evicting === 'evicting' ? { targetBytes: random(12) << 20 } : {})
    return { outcome: 'done' }
  })
}

function write(blob: number): Promise<void> {
  const bytes = bareBlob(blob)
  return logged('write', `blob-${blob}`, async () => {
    await blobs.write(scope, digestOf(bytes), random(2) === 0 ? bytes : pieces(bytes))
    return { outcome: 'done' }
  })
}

function read(blob: number): Promise<void> {
  return logged('read', `blob-${blob}`, async () => ({ outcome: await stateOf(bareBlob(blob)) }))
}

/** By one of the three ways of asking. */
async function stateOf(bytes: Buffer): Promise<'done' | 'absent' | 'wrong'> {
  const digest = digestOf(bytes)
  const way = random(8)
  if (way === 0 && (await blobs.missing(scope, [digest])).length > 0) return 'absent'
  const found = way < 4 ? await readWhole(blobs, scope, digest) : await inBatch(digest)
  return found === undefined ? 'absent' : bytes.equals(found) ? 'done' : 'wrong'
}

async function inBatch(digest: Digest): Promise<Uint8Array | undefined> {
  for await (const { bytes } of blobs.readBatch(scope, [digest])) return bytes && Uint8Array.from(bytes)
  return undefined
}

async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 300_000) yield bytes.subarray(at, at + 300_000)
}

function digestOfKey(key: string): ActionDigest {
  return asActionDigest(digestOf(Buffer.from(key)))
}

/** All that a value says: a result with a blob in the index, one in a pack and now and then one in a file of its own. */
function resultOf(value: string): { result: ActionResult; contents: Buffer[] } {
  const sizes = [100, 5_000, ...(value.endsWith('77') ? [1_100_000] : [])]
  const contents = sizes.map((size) => bytesOf(`${value} ${size}`, size))
  const outputFiles = contents.map((bytes, i) => ({
    path: `f${i}`,
    digest: digestOf(bytes),
    isExecutable: false,
    contents: Buffer.alloc(0),
    nodeProperties: undefined,
  }))
  const result = { ...ActionResult.decode(Buffer.alloc(0)), outputFiles, stdoutRaw: Buffer.from(value) }
  return { result, contents }
}

/** Of every size, named by no action result. */
function bareBlob(blob: number): Buffer {
  return bytesOf(`bare ${blob}`, blob % 30 === 0 ? 1_050_000 + blob : 10 * (blob + 1) ** 2)
}

/** Numbers that follow from a seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed * 7919 + 1
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
