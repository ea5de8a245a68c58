/**
 * How builds fare while the servers of a sharded cache are killed, hang, lose requests and come back, beside the same without guards.
 * A simulation: the code of `guarded` and `sharded` is the real one; the ends keep blobs in memory and follow a script; time and
 * chance are virtual, so that hours pass in a minute and each run is the same. No socket, no disk, no processor time is in it.
 */
import { asActionDigest, type Digest } from '../src/digest/digest.ts'
import { digestOf } from '../src/digest/sha256.ts'
import { CacheError } from '../src/errors.ts'
import { ActionResult } from '../src/proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { DEFAULT_SCOPE as scope } from '../src/store/contracts.ts'
import type { BreakerMemory } from '../src/store/guarded/breaker.ts'
import { breakerInMemory } from '../src/store/guarded/breaker-file.ts'
import { guarded } from '../src/store/guarded/guarded.ts'
import { type ScriptedEnd, scriptedEnd } from '../src/store/guarded/scripted-end.fixture.ts'
import { VirtualClock } from '../src/store/guarded/virtual-clock.fixture.ts'
import type { RemoteEnd } from '../src/store/remote/remote-end.ts'
import { sharded } from '../src/store/sharded/sharded.ts'
import { type Benchmark, type BenchOptions, type Row, runAlone, scaled, shownTime } from './benchmark.ts'

export const availability: Benchmark = { name: 'availability', takesLong: true, run: measure }

/** Of all seeds together. */
const REQUESTS = 1_000_000
const SEEDS = [1, 2, 3, 4, 5]
const SERVERS = 4
const MACHINES = 20
/** Of one process, which then ends; the next knows what the machine's file says. */
const REQUESTS_A_PROCESS = 40
/** Of one process at the same time. */
const LANES = 4
/** From asking for a result to having its blob. */
const BUDGET_MS = 1_000
/** What an end waits by itself, without a guard. */
const OWN_PATIENCE_MS = 30_000
const UP_MS = 600_000
const DOWN_MS = 30_000
/** Actions, asked for the more the lower their number. */
const ACTIONS = 50_000

async function measure(options: BenchOptions): Promise<Row[]> {
  const requests = Math.ceil(scaled(REQUESTS, options, 10_000) / SEEDS.length)
  const ours: Outcome[] = []
  const healthy: Outcome[] = []
  for (const seed of SEEDS) {
    ours.push(await simulate({ requests, seed, isHealthy: false, isGuarded: true }))
    // Guards change nothing of what healthy servers give.
    healthy.push(await simulate({ requests, seed, isHealthy: true, isGuarded: false }))
  }
  // Shorter, since there is more than enough to see.
  const bare = await simulate({ requests: Math.ceil(requests / 4), seed: 1, isHealthy: false, isGuarded: false })
  const [all, whole] = [together(ours), together(healthy)]
  const lost = 1 - hits(all) / hits(whole)
  const worst = Math.max(...ours.map(failed))
  const down = `${percent(all.downShare)} of each server's time killed, hung or losing requests`
  return [
    {
      what: `simulated, ${all.requests} requests, ${down}: not answered rightly within ${BUDGET_MS} ms`,
      ours: `guarded ${percent(failed(all))}, ${percent(worst)} with the worst of ${SEEDS.length} seeds`,
      theirs: `not guarded ${percent(failed(bare))}`,
      ...{ ratio: failed(all), bar: 1e-4 },
    },
    {
      what: 'the same: hits lost of those that healthy servers give',
      ours: `guarded ${percent(hits(all))} hits`,
      theirs: `healthy ${percent(hits(whole))}`,
      ...{ ratio: lost, bar: 0.05 },
    },
    {
      what: 'the same: what a request waits for',
      ours: `guarded ${shownTime(waited(all))}`,
      theirs: `healthy ${shownTime(waited(whole))}`,
      ratio: waited(all) / waited(whole),
    },
    {
      what: 'the same',
      ours: `guarded ${shownTime(waited(all))}`,
      theirs: `not guarded ${shownTime(waited(bare))}`,
      ratio: waited(all) / waited(bare),
    },
  ]
}

function together(outcomes: readonly Outcome[]): Outcome {
  const sum = (of: (one: Outcome) => number) => outcomes.reduce((all, one) => all + of(one), 0)
  return {
    requests: sum(({ requests }) => requests),
    hits: sum(({ hits }) => hits),
    wrong: sum(({ wrong }) => wrong),
    late: sum(({ late }) => late),
    waitedMs: sum(({ waitedMs }) => waitedMs),
    downShare: sum(({ downShare }) => downShare) / outcomes.length,
  }
}

function hits(one: Outcome): number {
  return one.hits / one.requests
}

function failed(one: Outcome): number {
  return (one.late + one.wrong) / one.requests
}

function waited(one: Outcome): number {
  return one.waitedMs / one.requests
}

function percent(share: number): string {
  return `${(share * 100).toPrecision(3)} %`
}

interface Plan {
  readonly requests: number
  readonly seed: number
  readonly isHealthy: boolean
  readonly isGuarded: boolean
}

interface Outcome {
  requests: number
  hits: number
  /** Bytes that are not those of the action; there must be none. */
  wrong: number
  late: number
  waitedMs: number
  downShare: number
}

async function simulate(plan: Plan): Promise<Outcome> {
  const clock = new VirtualClock(plan.seed)
  const servers = Array.from({ length: SERVERS }, () => new Server(clock))
  const outcome: Outcome = { requests: 0, hits: 0, wrong: 0, late: 0, waitedMs: 0, downShare: 0 }
  let isOver = false
  if (!plan.isHealthy) for (const server of servers) void server.live(() => isOver)
  const machines = Array.from({ length: MACHINES }, (_, seed) => machine(plan, clock, servers, outcome, seed))
  await clock.until(Promise.all(machines))
  isOver = true
  outcome.downShare = servers.reduce((sum, { downMs }) => sum + downMs, 0) / SERVERS / clock.elapsedMs()
  return outcome
}

type State = 'up' | 'killed' | 'hung' | 'lossy'

/** One server, which outlives its clients' connections and keeps what it has when it is killed. */
class Server {
  readonly end: ScriptedEnd
  readonly #clock: VirtualClock
  readonly #broken = new Set<() => void>()
  #state: State = 'up'
  downMs = 0

  constructor(clock: VirtualClock) {
    this.#clock = clock
    this.end = scriptedEnd((_what, signal) => this.#answer(signal))
  }

  async live(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await this.#clock.sleep(-UP_MS * Math.log(1 - this.#clock.random()))
      this.#state = (['killed', 'hung', 'lossy'] as const)[Math.floor(this.#clock.random() * 3)] ?? 'killed'
      if (this.#state === 'killed') this.#break()
      const ms = -DOWN_MS * Math.log(1 - this.#clock.random())
      await this.#clock.sleep(ms)
      this.downMs += ms
      // Who waits for one that hangs hears of its restart.
      this.#break()
      this.#state = 'up'
    }
  }

  async #answer(signal: AbortSignal | undefined): Promise<void> {
    if (this.#state === 'killed') throw away()
    const isSilent = this.#state === 'hung' || (this.#state === 'lossy' && this.#clock.random() < 0.3)
    // Mostly 2 to 12 ms, and one in a hundred ten times that.
    const ms = (2 + this.#clock.random() * 10) * (this.#clock.random() < 0.01 ? 10 : 1)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const broken = () => reject(away())
    const left = () => reject(signal?.reason)
    this.#broken.add(broken)
    signal?.addEventListener('abort', left, { once: true })
    using _answer = isSilent
      ? this.#clock.after(OWN_PATIENCE_MS, () => reject(new CacheError('remote.timed-out', 'it did not answer')))
      : this.#clock.after(ms, () => {
          // One that began to hang meanwhile says nothing either.
          if (this.#state !== 'hung') resolve()
        })
    try {
      await promise
    } finally {
      this.#broken.delete(broken)
      signal?.removeEventListener('abort', left)
    }
  }

  #break(): void {
    for (const broken of [...this.#broken]) broken()
  }
}

function away(): CacheError {
  return new CacheError('remote.unreachable', 'it is not there')
}

/** Builds on one machine, one after the other. */
async function machine(
  { requests, isGuarded }: Plan,
  clock: VirtualClock,
  servers: readonly Server[],
  outcome: Outcome,
  seed: number,
): Promise<void> {
  // The same requests in the same order, whatever becomes of them.
  const chance = new VirtualClock(1_000 + seed)
  const memories = servers.map(() => breakerInMemory())
  for (let left = Math.ceil(requests / MACHINES); left > 0; left -= REQUESTS_A_PROCESS) {
    await using cache = opened(servers, memories, clock, isGuarded)
    const numbers = Array.from({ length: Math.min(left, REQUESTS_A_PROCESS) }, () => chosen(chance))
    const lane = async () => {
      for (let next = numbers.pop(); next !== undefined; next = numbers.pop()) {
        await request(cache, next, clock, outcome)
        // The rest of the task.
        await clock.sleep(1_000 + clock.random() * 2_000)
      }
    }
    await Promise.all(Array.from({ length: LANES }, lane))
  }
}

function opened(
  servers: readonly Server[],
  memories: readonly BreakerMemory[],
  clock: VirtualClock,
  isGuarded: boolean,
): RemoteEnd {
  const ends = servers.map(({ end }, i) => {
    const place = `server ${i}`
    const shown = isGuarded ? guarded(end, { place, memory: memories[i] as BreakerMemory, clock }) : end
    return { name: place, weight: 1, end: shown }
  })
  return sharded(ends, { replicas: 2, clock })
}

/** Zipf's law, nearly: as often below 10 as from 10 to 100. */
function chosen(chance: VirtualClock): number {
  return Math.floor(ACTIONS ** chance.random())
}

async function request(cache: RemoteEnd, number: number, clock: VirtualClock, outcome: Outcome): Promise<void> {
  const { bytes, digest, action, result } = taskOf(number)
  const startMs = clock.elapsedMs()
  let found: Uint8Array | undefined
  try {
    const lookup = await cache.actions.get(scope, action)
    const file = lookup.kind === 'hit' ? lookup.result.outputFiles[0]?.digest : undefined
    for await (const piece of (file && (await cache.blobs.read(scope, file))) ?? []) found = piece
  } catch {
    // As for any build: it is done here.
  }
  const ms = clock.elapsedMs() - startMs
  outcome.requests++
  outcome.waitedMs += ms
  if (ms > BUDGET_MS) outcome.late++
  if (found !== undefined && !Buffer.from(found).equals(bytes)) outcome.wrong++
  else if (found !== undefined) outcome.hits++
  if (found === undefined) void kept(cache, { bytes, digest, action, result })
}

/** In the background; what cannot be kept is not. */
async function kept(cache: RemoteEnd, { bytes, digest, action, result }: Task): Promise<void> {
  try {
    await cache.blobs.write(scope, digest, bytes)
    await cache.actions.put(scope, action, result)
  } catch {
    // The next who does the same work tries again.
  }
}

type Task = ReturnType<typeof newTask>
const tasks = new Map<number, Task>()

function taskOf(number: number): Task {
  const known = tasks.get(number)
  if (known !== undefined) return known
  const task = newTask(number)
  tasks.set(number, task)
  return task
}

function newTask(number: number) {
  const bytes = Buffer.from(`what ${number} makes`)
  const digest: Digest = digestOf(bytes)
  const file = { path: 'out', digest, isExecutable: false, contents: Buffer.alloc(0) }
  const result: ActionResult = { ...ActionResult.decode(new Uint8Array(0)), outputFiles: [file] as never }
  return { bytes, digest, result, action: asActionDigest(digestOf(Buffer.from(`action ${number}`))) }
}

if (import.meta.main) await runAlone(availability)
