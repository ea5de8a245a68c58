import type { ActionDigest } from '../../digest/digest.ts'
import type { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { ActionLookup, ActionStore, PutOutcome, Scope } from '../contracts.ts'
import { durationOf } from '../named-blobs.ts'
import type { Freshness, Stamp } from './freshness.ts'
import type { Hot, HotEntries } from './hot-entries.ts'

interface HotAction extends Hot {
  readonly instance: string
  readonly hash: string
  readonly actionBytes: number
  readonly stamp: Stamp
  /** Resolved already: given to every caller, so that a hit allocates nothing. */
  readonly answer: Promise<ActionLookup>
}

/** An encoded result of 300 bytes takes about 1.5 kB as objects; one of 100 kB four times itself (measured by heap size). */
const OBJECTS_PER_BYTE = 4
const OBJECTS_BYTES = 600

/** Hits that were had lately, answered from memory. Misses are not remembered: the next put makes them wrong. */
export class CachedActions implements ActionStore {
  readonly #inner: ActionStore
  readonly #entries: HotEntries<Hot>
  readonly #freshness: Freshness
  readonly #instances = new Map<string, Map<string, HotAction>>()
  /** Who asks below, by key: a put or removal meanwhile strikes it, and the answer is not remembered. */
  readonly #asking = new Map<string, symbol>()

  constructor(inner: ActionStore, entries: HotEntries<Hot>, freshness: Freshness) {
    this.#inner = inner
    this.#entries = entries
    this.#freshness = freshness
  }

  get(scope: Scope, action: ActionDigest, signal?: AbortSignal): Promise<ActionLookup> {
    const hot = this.#instances.get(scope.instance)?.get(action.hash)
    if (
      hot === undefined ||
      hot.actionBytes !== action.sizeBytes ||
      signal?.aborted === true ||
      !this.#freshness.covers(hot.stamp)
    )
      return this.#ask(scope, action, signal)
    this.#entries.touch(hot.key)
    return hot.answer
  }

  async #ask(scope: Scope, action: ActionDigest, signal: AbortSignal | undefined): Promise<ActionLookup> {
    const key = keyOf(scope, action)
    const asked = Symbol()
    this.#asking.set(key, asked)
    const stamp = this.#freshness.stamp()
    try {
      const lookup = await this.#inner.get(scope, action, signal)
      if (this.#asking.get(key) === asked) this.#remember(scope, action, lookup, stamp)
      return lookup
    } finally {
      if (this.#asking.get(key) === asked) this.#asking.delete(key)
    }
  }

  async put(scope: Scope, action: ActionDigest, result: ActionResult, signal?: AbortSignal): Promise<PutOutcome> {
    try {
      return await this.#inner.put(scope, action, result, signal)
    } finally {
      this.#forget(scope, action)
    }
  }

  async remove(scope: Scope, action: ActionDigest): Promise<boolean> {
    try {
      return await this.#inner.remove(scope, action)
    } finally {
      this.#forget(scope, action)
    }
  }

  #remember(scope: Scope, action: ActionDigest, lookup: ActionLookup, stamp: Stamp): void {
    const key = keyOf(scope, action)
    if (lookup.kind !== 'hit') {
      this.#forget(scope, action)
      return
    }
    const sizeBytes = OBJECTS_BYTES + lookup.resultDigest.sizeBytes * OBJECTS_PER_BYTE
    const { instance } = scope
    const { hash, sizeBytes: actionBytes } = action
    const hot = { key, instance, hash, sizeBytes, actionBytes, stamp, answer: Promise.resolve(lookup) }
    const isHeld = this.#entries.add(hot, durationOf(lookup.result), () => this.#drop(instance, hash))
    if (isHeld) this.#mapOf(instance).set(hash, hot)
    else this.#drop(instance, hash)
  }

  #forget(scope: Scope, action: ActionDigest): void {
    const key = keyOf(scope, action)
    this.#asking.delete(key)
    this.#entries.remove(key)
    this.#drop(scope.instance, action.hash)
  }

  #mapOf(instance: string): Map<string, HotAction> {
    let map = this.#instances.get(instance)
    if (map === undefined) {
      map = new Map()
      this.#instances.set(instance, map)
    }
    return map
  }

  #drop(instance: string, hash: string): void {
    const map = this.#instances.get(instance)
    map?.delete(hash)
    if (map?.size === 0) this.#instances.delete(instance)
  }
}

function keyOf({ instance }: Scope, { hash }: ActionDigest): string {
  return `action ${hash} ${instance}`
}
