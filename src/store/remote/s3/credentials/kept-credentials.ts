import { abortable } from '../../waiting.ts'
import type { S3Credentials } from '../s3-address.ts'
import type { LentCredentials } from './lent-credentials.ts'

/** So long before their end others are asked for, while these go on being used. */
const EARLY_MS = 5 * 60_000
/** So long before it they are not used any more: clocks differ, and what is under way has to arrive before. */
const LATE_MS = 30_000
/** Lenders have new ones some minutes before the old ones end, and not yet when they are asked too early. */
const AGAIN_MS = 15_000

/** Those that `find` gives, found once for all who ask at the same time: when they are first needed, before they end, and when they were refused. */
export class KeptCredentials {
  readonly #find: () => Promise<LentCredentials | undefined>
  readonly #now: () => number
  #kept: { readonly found: LentCredentials | undefined } | undefined
  #finding: Promise<LentCredentials | undefined> | undefined
  #againMs = Number.NEGATIVE_INFINITY

  constructor(find: () => Promise<LentCredentials | undefined>, now: () => number = Date.now) {
    this.#find = find
    this.#now = now
  }

  /** Undefined: requests are not to be signed. Throws what `find` throws, and the signal's reason. */
  async get(signal?: AbortSignal): Promise<S3Credentials | undefined> {
    signal?.throwIfAborted()
    if (this.#kept === undefined) return abortable(this.#found(), signal)
    const { found } = this.#kept
    const now = this.#now()
    const leftMs = (found?.expiresMs ?? Number.POSITIVE_INFINITY) - now
    if (leftMs <= LATE_MS) return abortable(this.#found(), signal)
    if (leftMs <= EARLY_MS && now >= this.#againMs) {
      this.#againMs = now + AGAIN_MS
      // These are still good, and it is tried again.
      this.#found().catch(() => undefined)
    }
    return found
  }

  /** Others than `refused`, of whatever is known now; undefined where there are no others. */
  async insteadOf(refused: S3Credentials | undefined, signal?: AbortSignal): Promise<S3Credentials | undefined> {
    this.forget(refused)
    const found = await this.get(signal)
    return isSame(found, refused) ? undefined : found
  }

  /** Whoever asks next has them looked for again, unless that was done already. */
  forget(refused: S3Credentials | undefined): void {
    if (this.#kept?.found === refused) this.#kept = undefined
  }

  #found(): Promise<LentCredentials | undefined> {
    this.#finding ??= this.#ask().finally(() => {
      this.#finding = undefined
    })
    return this.#finding
  }

  async #ask(): Promise<LentCredentials | undefined> {
    const found = await this.#find()
    this.#kept = { found }
    return found
  }
}

function isSame(one: S3Credentials | undefined, other: S3Credentials | undefined): boolean {
  const words = (each: S3Credentials | undefined) =>
    JSON.stringify([each?.accessKeyId, each?.secretAccessKey, each?.sessionToken])
  return words(one) === words(other)
}
