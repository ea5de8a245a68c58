import type { ActionDigest } from '../../digest/digest.ts'
import type { Scope } from '../contracts.ts'
import { isOutage } from './far-end.ts'
import type { Moved } from './transfers.ts'
import type { Upload, UploadRecords } from './upload-records.ts'
import { type UploadParts, uploadResult } from './upload-result.ts'

/** Results on their way at once; of each a few MiB are in memory. */
const AT_ONCE = 4
/** More wait on disk alone. */
const MOST_WAITING = 4_096
/** After the end could not be asked at all. */
const PAUSE_MS = 30_000

export interface UploadsOptions extends UploadParts {
  readonly records: UploadRecords
  readonly now: () => number
}

/** The next upload of a result. Disposed of, nobody waits for it. */
export interface ArrivingUpload extends Disposable {
  /** Undefined: this process does not bring it there. */
  readonly isThere: Promise<boolean | undefined>
}

interface UnderWay {
  readonly upload: Upload
  isWanted: boolean
  done: Promise<void>
}

/** Sends results to the far end in the background, those of this process first, then what earlier ones had no time for. */
export class Uploads {
  readonly #options: UploadsOptions
  /** By what is to be uploaded: put twice, it is uploaded once, as it is then. */
  readonly #own = new Map<string, Upload>()
  /** What earlier processes left, and what this one could not do. */
  #others = new Map<string, Upload>()
  readonly #underWay = new Map<string, UnderWay>()
  readonly #awaited = new Map<string, Set<(isThere: boolean | undefined) => void>>()
  #pausedUntilMs = 0
  #resumed: Promise<void> | undefined

  constructor(options: UploadsOptions) {
    this.#options = options
  }

  /** Writes down, before the result is put, that it is to be uploaded: what is kept is not forgotten. Undefined: it cannot be. */
  announce(scope: Scope, action: ActionDigest): Promise<Upload | undefined> {
    return this.#options.records.add(scope, action)
  }

  /** To be asked for before the result is put. */
  arriving(scope: Scope, action: ActionDigest): ArrivingUpload {
    const key = uploadKey({ scope, action })
    const { promise, resolve } = Promise.withResolvers<boolean | undefined>()
    const waiting = this.#awaited.get(key) ?? new Set()
    this.#awaited.set(key, waiting.add(resolve))
    return { isThere: promise, [Symbol.dispose]: () => void waiting.delete(resolve) }
  }

  async begin(upload: Upload): Promise<void> {
    void this.resume()
    const isQueued = await this.#enqueue(upload, this.#own)
    if (!isQueued) this.tell(upload, undefined)
    this.#more()
  }

  /** What came of it, to those who wait for it: true, it is far. */
  tell(upload: Pick<Upload, 'scope' | 'action'>, isThere: boolean | undefined): void {
    const key = uploadKey(upload)
    for (const resolve of this.#awaited.get(key) ?? []) resolve(isThere)
    this.#awaited.delete(key)
  }

  /** The process ends: others do what is left. */
  leave(): void {
    for (const waiting of this.#awaited.values()) for (const resolve of waiting) resolve(undefined)
    this.#awaited.clear()
  }

  /** It was not put after all. */
  async cancel(upload: Upload): Promise<void> {
    this.tell(upload, false)
    await this.#options.records.remove(upload)
  }

  /** What is being sent of it is not published. */
  async forget(scope: Scope, action: ActionDigest): Promise<void> {
    const key = uploadKey({ scope, action })
    this.tell({ scope, action }, false)
    const entry = this.#underWay.get(key)
    if (entry !== undefined) entry.isWanted = false
    for (const waiting of [this.#own, this.#others]) {
      const upload = waiting.get(key)
      waiting.delete(key)
      if (upload !== undefined) await this.#options.records.remove(upload)
    }
  }

  /** Takes up what earlier processes left; once. Does not reject. */
  resume(): Promise<void> {
    // Where the list cannot be read, it is the next process's.
    this.#resumed ??= this.#takeUp().catch(() => undefined)
    return this.#resumed
  }

  async #takeUp(): Promise<void> {
    for (const upload of await this.#options.records.left()) await this.#enqueue(upload, this.#others)
    this.#more()
  }

  /** When nothing is on its way any more, or can be. */
  async settled(): Promise<void> {
    await this.#resumed
    this.#more()
    while (this.#underWay.size > 0) await Promise.all([...this.#underWay.values()].map(({ done }) => done))
  }

  /** False where too many wait already. */
  async #enqueue(upload: Upload, to: Map<string, Upload>): Promise<boolean> {
    const key = uploadKey(upload)
    if (this.#underWay.get(key)?.upload.name === upload.name) return true
    const waiting = this.#own.get(key) ?? this.#others.get(key)
    if (waiting !== undefined) {
      if (waiting.name !== upload.name) await this.#options.records.remove(upload)
      return true
    }
    if (to.size >= MOST_WAITING) return false
    to.set(key, upload)
    return true
  }

  #more(): void {
    const { far, now } = this.#options
    while (this.#underWay.size < AT_ONCE && !far.signal.aborted && now() >= this.#pausedUntilMs) {
      const upload = this.#next()
      if (upload === undefined) return
      const entry: UnderWay = { upload, isWanted: true, done: Promise.resolve() }
      this.#underWay.set(uploadKey(upload), entry)
      entry.done = this.#work(upload, () => entry.isWanted)
    }
  }

  /** What is on its way has to come to its end before it is sent anew. */
  #next(): Upload | undefined {
    for (const waiting of [this.#own, this.#others]) {
      for (const [key, upload] of waiting) {
        if (this.#underWay.has(key)) continue
        waiting.delete(key)
        return upload
      }
    }
    return undefined
  }

  async #work(upload: Upload, isWanted: () => boolean): Promise<void> {
    try {
      await this.#alone(upload, isWanted)
    } catch {
      // Near is in trouble, and says so to those who wait for it. The record stays.
    } finally {
      this.#underWay.delete(uploadKey(upload))
      // Unless it was told already, another process is at it or has done it.
      this.tell(upload, undefined)
      this.#more()
    }
  }

  /** Unless another process is at it, or has done it. */
  async #alone(upload: Upload, isWanted: () => boolean): Promise<void> {
    const { near, records } = this.#options
    const { scope, action, name } = upload
    const place = name.slice(0, name.indexOf(' '))
    await using lease = await near.leases.tryHold(`upload ${action.hash} ${scope.instance} ${place}`)
    if (lease === undefined || !records.has(upload)) return
    await this.#settle(upload, await uploadResult(this.#options, scope, action, isWanted))
  }

  async #settle(upload: Upload, uploaded: Moved): Promise<void> {
    const { far, records, now } = this.#options
    this.tell(upload, uploaded.kind === 'done')
    if (uploaded.kind !== 'failed') return records.remove(upload)
    if (far.signal.aborted) return
    far.failed('upload', uploaded.error)
    if (!isOutage(uploaded.error)) return records.refused(upload)
    this.#pausedUntilMs = now() + PAUSE_MS
    const key = uploadKey(upload)
    if (this.#own.has(key)) return records.remove(upload)
    this.#others = new Map([[key, upload], ...this.#others])
  }
}

function uploadKey({ scope, action }: Pick<Upload, 'scope' | 'action'>): string {
  return `${action.hash}/${action.sizeBytes} ${scope.instance}`
}
