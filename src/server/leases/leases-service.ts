import { asActionDigest } from '../../digest/digest.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import {
  type HoldRequest,
  type HoldResponse,
  LeasesDefinition,
  type UsualRequest,
} from '../../proto/recue/v1/leases.ts'
import {
  type FleetHolder,
  type FleetLease,
  type FleetLeases,
  type FleetTurn,
  MOST_THINGS,
} from '../../store/fleet-leases.ts'
import { type GrpcCall, type GrpcMethod, grpcService } from '../grpc/service.ts'
import { digestArgument } from '../reapi/digest-argument.ts'
import { scopeOf } from '../reapi/scope.ts'

/** How often each side says that it is there: oftener than proxies give up a call on which nothing moves. */
const ALIVE_MS = 10_000
/** After so many that did not come a holder is taken for dead. */
const SILENT_FOR = 3
/** Of a label, which others are shown. */
const MOST_CHARACTERS = 200
/** Of the name of a thing, which is remembered. */
const LONGEST_NAME = 100

export interface LeasesService {
  readonly methods: readonly GrpcMethod[]
  /** Those who wait are sent away: they do the work themselves, and the server's end waits for nobody's. */
  end(): void
}

/** recue's own service beside REAPI: which machine of a fleet does an action's work (`recue/v1/leases.proto`). */
export function leasesService(leases: FleetLeases, aliveMs: number = ALIVE_MS): LeasesService {
  const ending = new AbortController()
  const ended = ending.signal
  return {
    methods: grpcService(LeasesDefinition, {
      hold: ['write', (requests, call) => hold(leases, requests, { call, ended, aliveMs })],
      usual: ['read', (request, call) => usual(leases, request, call.signal)],
    }),
    end: () => ending.abort(new GrpcStatus(GrpcCode.UNAVAILABLE, 'The server is ending.')),
  }
}

async function usual(leases: FleetLeases, { instanceName, things }: UsualRequest, signal: AbortSignal) {
  if (things.length > MOST_THINGS)
    throw new GrpcStatus(GrpcCode.INVALID_ARGUMENT, `These are more than ${MOST_THINGS} things.`)
  const known = await leases.usual(scopeOf(instanceName), things, signal)
  return { usualMs: known.map((ms = 0) => Math.round(ms)) }
}

interface Hold {
  readonly call: GrpcCall
  readonly ended: AbortSignal
  readonly aliveMs: number
}

async function* hold(
  leases: FleetLeases,
  requests: AsyncIterable<HoldRequest>,
  { call, ended, aliveMs }: Hold,
): AsyncGenerator<HoldResponse> {
  const said = requests[Symbol.asyncIterator]()
  const { scope, action, ...asked } = askIn((await said.next()).value)
  const left = new AbortController()
  const signal = AbortSignal.any([call.signal, ended, left.signal])
  const news = new News()
  const options = { ...asked, signal, onWait: (holder: FleetHolder) => news.tell(holder) }
  const turn = leases.hold(scope, action, options)
  // Whoever leaves while it waits leaves no lease behind.
  turn.then((late) => (left.signal.aborted ? letGo(late) : undefined)).catch(() => undefined)
  let isTaken = false
  try {
    const taken = yield* waitFor(turn, news, aliveMs)
    isTaken = true
    if (taken.kind === 'ended') yield { said: { $case: 'ended', ended: { isKept: taken.isKept } } }
    else yield* keep(taken.lease, said, { signal, aliveMs })
  } finally {
    if (!isTaken) left.abort()
  }
}

async function letGo(turn: FleetTurn): Promise<void> {
  if (turn.kind === 'held') await turn.lease[Symbol.asyncDispose]()
}

function askIn(request: HoldRequest | undefined) {
  if (request?.said?.$case !== 'ask')
    throw new GrpcStatus(GrpcCode.INVALID_ARGUMENT, 'The first thing to be said is `ask`.')
  const { instanceName, actionDigest, label, thing, usualMs } = request.said.ask
  return {
    scope: scopeOf(instanceName),
    action: asActionDigest(digestArgument(actionDigest, 'action_digest')),
    label: label.slice(0, MOST_CHARACTERS),
    thing: thing === '' || thing.length > LONGEST_NAME ? undefined : thing,
    usualMs: usualMs > 0 ? usualMs : undefined,
  }
}

/** Says who holds the lease as long as another one does. */
async function* waitFor(
  turn: Promise<FleetTurn>,
  news: News,
  aliveMs: number,
): AsyncGenerator<HoldResponse, FleetTurn> {
  const taken = turn.then((value) => ({ value }))
  for (;;) {
    const next = await within(Promise.race([taken, news.next()]), aliveMs)
    if (next !== undefined && 'value' in next) return next.value
    const holder = news.last()
    if (holder !== undefined) yield waiting(holder)
  }
}

function waiting({ label, forMs, usualMs = 0 }: FleetHolder): HoldResponse {
  return { said: { $case: 'waiting', waiting: { label, forMs: Math.round(forMs), usualMs: Math.round(usualMs) } } }
}

/** Until its holder says that the work has ended, or says nothing more. */
async function* keep(
  lease: FleetLease,
  said: AsyncIterator<HoldRequest>,
  { signal, aliveMs }: { readonly signal: AbortSignal; readonly aliveMs: number },
): AsyncGenerator<HoldResponse> {
  await using held = lease
  const gone = new Promise<undefined>((resolve) => {
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
  while (!signal.aborted) {
    yield { said: { $case: 'held', held: { aliveMs } } }
    const next = await within(Promise.race([said.next(), gone]), aliveMs * SILENT_FOR)
    if (next === undefined || next.done) return
    const { said: word } = next.value
    if (word?.$case !== 'end') continue
    await held.end(word.end.isKept)
    return
  }
}

/** Undefined when it takes longer. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => resolve(undefined), ms)
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** What was told last of who holds a lease. */
class News {
  #holder: { readonly told: FleetHolder; readonly atMs: number } | undefined
  #change: PromiseWithResolvers<object> = Promise.withResolvers()

  tell(told: FleetHolder): void {
    this.#holder = { told, atMs: performance.now() }
    this.#change.resolve({})
  }

  /** Done when something has been told that nobody has read. */
  next(): Promise<object> {
    return this.#change.promise
  }

  last(): FleetHolder | undefined {
    this.#change = Promise.withResolvers()
    if (this.#holder === undefined) return undefined
    const { told, atMs } = this.#holder
    return { ...told, forMs: told.forMs + performance.now() - atMs }
  }
}
