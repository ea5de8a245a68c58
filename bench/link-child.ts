/**
 * Asks servers over a link, and prints what it took as JSON; a child of `remote-link.ts`.
 *
 *   node bench/link-child.ts '{"what":"blobs","remotePort":1,"plainPort":2,"rounds":5,"blobs":[…]}'
 */
import { once } from 'node:events'
import { type ClientHttp2Session, connect } from 'node:http2'
import { asActionDigest, type Digest } from '../src/digest/digest.ts'
import { DEFAULT_SCOPE } from '../src/store/contracts.ts'
import { openLocalStore } from '../src/store/local/local-store.ts'
import { openRemote } from '../src/store/remote/open-remote.ts'
import type { RemoteEnd } from '../src/store/remote/remote-end.ts'
import { pairedRounds, type RoundContender } from './paired-rounds.ts'
import type { Timing } from './paired-runs.ts'
import { inFolder } from './place.ts'
import { PLAIN_WINDOW_BYTES } from './plain-http2.ts'

export interface LinkTask {
  /** What is asked for: a result and its blobs, many small blobs, one large blob, or the same into a store. */
  readonly what: 'hit' | 'blobs' | 'large' | 'large into a store'
  readonly remotePort: number
  readonly plainPort: number
  readonly rounds: number
  readonly blobs: readonly Digest[]
  readonly action?: Digest
  /** Connections stand, and were used; else each round begins with a new one. */
  readonly isWarm?: boolean
}

export interface LinkTimes {
  readonly ours: Timing
  /** The body of the plain server. */
  readonly plain: Timing
}

const task = JSON.parse(process.argv[2] ?? '') as LinkTask
const address = `grpc://127.0.0.1:${task.remotePort}`
const standing = task.isWarm === true ? await openRemote(address) : undefined
const plainStanding = task.isWarm === true ? await plainSession() : undefined
const contenders: RoundContender[] = [
  { name: 'recue', times: 1, round: () => ours() },
  { name: 'plain HTTP/2', times: 1, round: () => plain() },
]
const [oursTook, plainTook] = (await pairedRounds(contenders, task.rounds)) as [Timing, Timing]
process.stdout.write(`${JSON.stringify({ ours: oursTook, plain: plainTook } satisfies LinkTimes)}\n`)
await standing?.[Symbol.asyncDispose]()
plainStanding?.destroy()

async function ours(): Promise<void> {
  if (standing !== undefined) return asked(standing)
  await using end = await openRemote(address)
  await asked(end)
}

async function asked(end: RemoteEnd): Promise<void> {
  if (task.what === 'large') return readLarge(end)
  if (task.what === 'large into a store') return intoStore(end)
  if (task.action !== undefined) {
    const { kind } = await end.actions.get(DEFAULT_SCOPE, asActionDigest(task.action))
    if (kind !== 'hit') throw new Error(`a ${kind} where there is a result`)
  }
  let found = 0
  for await (const { bytes } of end.blobs.readBatch(DEFAULT_SCOPE, task.blobs)) if (bytes !== undefined) found++
  if (found !== task.blobs.length) throw new Error(`${found} of ${task.blobs.length} blobs`)
}

async function readLarge({ blobs }: RemoteEnd): Promise<void> {
  const [digest] = task.blobs as [Digest]
  let bytes = 0
  for await (const piece of (await blobs.read(DEFAULT_SCOPE, digest)) ?? []) bytes += piece.length
  if (bytes !== digest.sizeBytes) throw new Error(`${bytes} of ${digest.sizeBytes} bytes`)
}

async function intoStore({ fetches }: RemoteEnd): Promise<void> {
  await inFolder('near', async (dir) => {
    await using near = await openLocalStore({ dir })
    const isThere = await fetches?.fetchInto(DEFAULT_SCOPE, task.blobs[0] as Digest, near)
    if (isThere !== true) throw new Error('the blob is not there')
  })
}

async function plain(): Promise<void> {
  const session = plainStanding ?? (await plainSession())
  const stream = session.request({ ':path': '/' })
  await once(stream.resume(), 'end')
  if (plainStanding === undefined) session.destroy()
}

async function plainSession(): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${task.plainPort}`, {
    settings: { initialWindowSize: PLAIN_WINDOW_BYTES, enablePush: false },
  })
  session.once('connect', () => session.setLocalWindowSize(PLAIN_WINDOW_BYTES))
  return session
}
