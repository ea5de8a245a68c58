import type { ActionDigest } from '../../../digest/digest.ts'
import { HoldRequest, HoldResponse, UsualRequest, UsualResponse } from '../../../proto/recue/v1/leases.ts'
import type { Scope } from '../../contracts.ts'
import type { FleetHoldOptions, FleetLease, FleetLeases, FleetTurn } from '../../fleet-leases.ts'
import { notSpoken } from '../connection-fault.ts'
import type { GrpcCall } from '../grpc/grpc-call.ts'
import { decoded, type GrpcChannel } from '../grpc/grpc-channel.ts'
import { statusFault } from './status-fault.ts'

const HOLD = '/recue.v1.Leases/Hold'
const USUAL = { path: '/recue.v1.Leases/Usual', request: UsualRequest, answer: UsualResponse }

/**
 * The leases of a fleet whose server is recue's (`recue/v1/leases.proto`). Of another's each call throws
 * `remote.incompatible`.
 */
export function remoteLeases(channel: GrpcChannel): FleetLeases {
  return {
    async hold(scope, action, options) {
      try {
        return await hold(channel, scope, action, options)
      } catch (error) {
        throw statusFault(channel.server, error)
      }
    },
    async usual({ instance }, things, signal) {
      try {
        const asked = { instanceName: instance, things: [...things] }
        const { usualMs } = await channel.unary(USUAL, asked, signal)
        return things.map((_, at) => usualMs[at] || undefined)
      } catch (error) {
        throw statusFault(channel.server, error)
      }
    },
  }
}

async function hold(
  channel: GrpcChannel,
  { instance }: Scope,
  actionDigest: ActionDigest,
  { label, thing = '', usualMs = 0, onWait, signal }: FleetHoldOptions,
): Promise<FleetTurn> {
  const call = await channel.open(HOLD, signal)
  const answers = call.messages()
  const ask = { instanceName: instance, actionDigest, label, thing, usualMs: Math.round(usualMs) }
  await say(call, { $case: 'ask', ask })
  for (;;) {
    const next = await answers.next()
    if (next.done) throw notSpoken(channel.server, 'gRPC', 'no word of who holds the lease')
    const { said } = decoded(HoldResponse, next.value, channel.server)
    if (said?.$case === 'waiting') {
      const { forMs, usualMs: usual } = said.waiting
      onWait?.({ label: said.waiting.label, forMs, usualMs: usual > 0 ? usual : undefined })
    } else if (said?.$case === 'ended') {
      call.cancel()
      return { kind: 'ended', isKept: said.ended.isKept }
    } else if (said?.$case === 'held') {
      return { kind: 'held', lease: new CallLease(call, answers, said.held.aliveMs) }
    }
  }
}

function say(call: GrpcCall, said: NonNullable<HoldRequest['said']>): Promise<boolean> {
  return call.send([HoldRequest.encode({ said }).finish()])
}

/** Held as long as its call is. */
class CallLease implements FleetLease {
  readonly #call: GrpcCall
  readonly #over: Promise<void>
  readonly #timer: NodeJS.Timeout

  constructor(call: GrpcCall, answers: AsyncGenerator<Uint8Array>, aliveMs: number) {
    this.#call = call
    this.#over = readOut(answers)
    const alive = () => void say(call, { $case: 'alive', alive: {} })
    this.#timer = setInterval(alive, Math.max(aliveMs, LEAST_ALIVE_MS)).unref()
  }

  async end(isKept: boolean): Promise<void> {
    clearInterval(this.#timer)
    await say(this.#call, { $case: 'end', end: { isKept } })
    this.#call.end()
    // Until the server has heard it.
    await this.#over
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#call.cancel()
  }
}

/** To the call's end, whichever that is: then one of those who wait has the lease, and nobody is the worse for it. */
async function readOut(answers: AsyncGenerator<Uint8Array>): Promise<void> {
  try {
    for await (const _ of answers);
  } catch {}
}

/** Whatever a server says. */
const LEAST_ALIVE_MS = 100
