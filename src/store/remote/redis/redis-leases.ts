import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ActionDigest } from '../../../digest/digest.ts'
import type { Scope } from '../../contracts.ts'
import type { FleetHolder, FleetHoldOptions, FleetLease, FleetLeases, FleetTurn } from '../../fleet-leases.ts'
import { usualAfter } from '../../usual-time.ts'
import type { RedisClient } from './redis-client.ts'
import { replyFault, valueIn } from './redis-fault.ts'
import { isReplyError } from './resp.ts'

export interface RedisLeasesOptions {
  /** A lease whose holder is not heard of for so long is free. */
  readonly lapseMs?: number
  /** Unix milliseconds. */
  readonly now?: () => number
}

const LAPSE_MS = 20_000
/** How long the word that the work has ended stands: all who wait look oftener. */
const WORD_MS = 10_000
/** For so long it is known how long a thing takes that nobody has done since. */
const USUAL_MS = 30 * 24 * 60 * 60 * 1000
const KEPT = ' kept'
const FIRST_LOOK_MS = 50
const LOOK_MS = 500

/**
 * Leases in a Redis, for all servers that use it: `recue:lease:INSTANCE:HASH` is held by whoever could set it, and lapses
 * unless it is set again; `recue:lease-end:INSTANCE:HASH` says how the last one ended, `recue:usual:INSTANCE:THING` how many
 * milliseconds a thing takes. Those who wait look twice a second.
 */
export function redisLeases(client: RedisClient, options: RedisLeasesOptions = {}): FleetLeases {
  const { lapseMs = LAPSE_MS, now = Date.now } = options
  return {
    async hold(scope, action, asked) {
      const work = new Work(client, keysOf(scope, action, asked.thing), { lapseMs, now })
      return work.hold(asked)
    },
    async usual(scope, things, signal) {
      const commands = things.map((thing) => ({ args: ['GET', usualKey(scope, thing)] }))
      const replies = await client.askAll(commands, signal)
      return replies.map((reply) => durationIn(valueIn(client.server, reply)))
    },
  }
}

function usualKey({ instance }: Scope, thing: string): string {
  return `recue:usual:${instance}:${thing}`
}

/** Undefined for what is none. */
function durationIn(value: Uint8Array | undefined): number | undefined {
  const ms = Number(value && Buffer.from(value).toString())
  return ms > 0 && ms < Number.POSITIVE_INFINITY ? ms : undefined
}

interface Keys {
  readonly lease: string
  readonly end: string
  readonly usual: string | undefined
}

function keysOf(scope: Scope, { hash }: ActionDigest, thing: string | undefined): Keys {
  const { instance } = scope
  return {
    lease: `recue:lease:${instance}:${hash}`,
    end: `recue:lease-end:${instance}:${hash}`,
    usual: thing === undefined ? undefined : usualKey(scope, thing),
  }
}

/** What is written of a holder. `token` is another for each time that the lease is had. */
interface Held {
  readonly token: string
  readonly label: string
  readonly sinceMs: number
  readonly usualMs?: number | undefined
}

class Work {
  readonly #client: RedisClient
  readonly #keys: Keys
  readonly #lapseMs: number
  readonly #now: () => number

  constructor(client: RedisClient, keys: Keys, { lapseMs, now }: Required<RedisLeasesOptions>) {
    this.#client = client
    this.#keys = keys
    this.#lapseMs = lapseMs
    this.#now = now
  }

  async hold(options: FleetHoldOptions): Promise<FleetTurn> {
    const { label, usualMs, onWait, signal } = options
    signal?.throwIfAborted()
    let waitedFor: string | undefined
    let endBefore: string | undefined
    for (let lookMs = FIRST_LOOK_MS; ; lookMs = Math.min(LOOK_MS, lookMs * 2)) {
      const holder = await this.#holder(signal)
      if (waitedFor !== undefined && holder?.token !== waitedFor) {
        const end = await this.#lastEnd(signal)
        // Perhaps that of another one, who had it so shortly that nobody saw.
        if (end !== undefined && end !== endBefore) return { kind: 'ended', isKept: end.endsWith(KEPT) }
      }
      if (holder === undefined) {
        const known = usualMs ?? (await this.#usual(signal))
        const held = { token: randomUUID(), label, sinceMs: this.#now(), usualMs: known }
        if (await this.#take(held, signal)) return { kind: 'held', lease: this.#leaseOf(held) }
        continue
      }
      if (waitedFor === undefined) endBefore = await this.#lastEnd(signal)
      if (holder.token !== waitedFor) onWait?.(this.#told(holder))
      waitedFor = holder.token
      // Never in step with the others.
      await sleep(lookMs * (0.5 + Math.random()), undefined, signal === undefined ? {} : { signal }).catch((error) => {
        signal?.throwIfAborted()
        throw error
      })
    }
  }

  #told({ label, sinceMs, usualMs }: Held): FleetHolder {
    return { label, forMs: Math.max(0, this.#now() - sinceMs), usualMs }
  }

  async #holder(signal?: AbortSignal): Promise<Held | undefined> {
    const value = valueIn(this.#client.server, await this.#client.ask({ args: ['GET', this.#keys.lease] }, signal))
    return value && heldIn(value)
  }

  /** The last word of how it ended, another one each time. */
  async #lastEnd(signal?: AbortSignal): Promise<string | undefined> {
    const value = valueIn(this.#client.server, await this.#client.ask({ args: ['GET', this.#keys.end] }, signal))
    return value && Buffer.from(value).toString()
  }

  async #usual(signal?: AbortSignal): Promise<number | undefined> {
    const { usual } = this.#keys
    if (usual === undefined) return undefined
    return durationIn(valueIn(this.#client.server, await this.#client.ask({ args: ['GET', usual] }, signal)))
  }

  async #take(held: Held, signal?: AbortSignal): Promise<boolean> {
    const args = ['SET', this.#keys.lease, JSON.stringify(held), 'PX', this.#lapseMs, 'NX']
    const reply = await this.#client.ask({ args }, signal)
    if (reply === 'OK') return true
    return valueIn(this.#client.server, reply) !== undefined
  }

  /** Of several who end at the same time the last one counts. */
  async #took(ms: number): Promise<void> {
    const { usual } = this.#keys
    if (usual === undefined) return
    const usualMs = Math.round(usualAfter(await this.#usual(), ms))
    await this.#client.ask({ args: ['SET', usual, usualMs, 'PX', USUAL_MS] })
  }

  #leaseOf(held: Held): FleetLease {
    // By the same words, so that it is there again where Redis had to make room.
    const again = ['SET', this.#keys.lease, JSON.stringify(held), 'PX', this.#lapseMs]
    const timer = setInterval(() => {
      this.#client.ask({ args: again }).catch(() => undefined)
    }, this.#lapseMs / 3).unref()
    let isOver = false
    const end = async (word: string | undefined) => {
      if (isOver) return
      isOver = true
      clearInterval(timer)
      const tookMs = this.#now() - held.sinceMs
      const said = word === undefined ? [] : [{ args: ['SET', this.#keys.end, held.token + word, 'PX', WORD_MS] }]
      // In this order, or whoever waits could see that it has ended and not how.
      const replies = await this.#client.askAll([...said, { args: ['DEL', this.#keys.lease] }])
      for (const reply of replies) if (isReplyError(reply)) throw replyFault(this.#client.server, reply)
      // What came to nothing may have ended early.
      if (word === KEPT) await this.#took(tookMs)
    }
    return { end: (isKept) => end(isKept ? KEPT : ' nothing'), [Symbol.asyncDispose]: () => end(undefined) }
  }
}

/** Undefined for what is none: it lapses. */
function heldIn(value: Uint8Array): Held {
  try {
    const { token, label, sinceMs, usualMs } = JSON.parse(Buffer.from(value).toString()) as Partial<Held>
    return { token: String(token), label: String(label), sinceMs: Number(sinceMs), usualMs }
  } catch {
    return { token: '', label: '', sinceMs: 0 }
  }
}
