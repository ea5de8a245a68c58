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

interface UnderWay {
  readonly upload: Upload
  isWanted: boolean
  done: Promise<void>
}

/** Sends results to the far end in the background, those of this process first, then what earlier ones had no time for. */
export class Uploads {
  readonly #options: UploadsOptions
  readonly #waiting: Upload[] = []
  readonly #underWay = new Map<string, UnderWay>()
  readonly #known = new Set<string>()
  #pausedUntilMs = 0
  #resumed: Promise<void> | undefined

  constructor(options: UploadsOptions) {
    this.#options = options
  }

  /** Writes down, before the result is put, that it is to be uploaded: what is kept is not forgotten. Undefined: it cannot be. */
  announce(scope: Scope, action: ActionDigest): Promise<Upload | undefined> {
    return this.#options.records.add(scope, action)
  }

  begin(upload: Upload): void {
    this.#enqueue(upload, 'first')
    void this.resume()
  }

  /** It was not put after all. */
  async cancel(upload: Upload): Promise<void> {
    await this.#options.records.remove(upload)
  }

  /** What is being sent of it is not published. */
  async forget({ instance }: Scope, { hash }: ActionDigest): Promise<void> {
    const isMeant = ({ action, scope }: Upload) => action.hash === hash && scope.instance === instance
    for (const entry of this.#underWay.values()) if (isMeant(entry.upload)) entry.isWanted = false
    for (const upload of this.#waiting.filter(isMeant)) {
      this.#waiting.splice(this.#waiting.indexOf(upload), 1)
      await this.#options.records.remove(upload)
    }
  }

  /** Takes up what earlier processes left; once. */
  resume(): Promise<void> {
    this.#resumed ??= this.#options.records.left().then((left) => {
      for (const upload of left) this.#enqueue(upload, 'last')
    })
    return this.#resumed
  }

  /** When nothing is on its way any more, or can be. */
  async settled(): Promise<void> {
    await this.#resumed
    while (this.#underWay.size > 0) await Promise.all([...this.#underWay.values()].map(({ done }) => done))
  }

  #enqueue(upload: Upload, where: 'first' | 'last'): void {
    if (this.#known.has(upload.name) || this.#waiting.length >= MOST_WAITING) return
    this.#known.add(upload.name)
    if (where === 'first') this.#waiting.unshift(upload)
    else this.#waiting.push(upload)
    this.#more()
  }

  #more(): void {
    const { far, now } = this.#options
    while (this.#underWay.size < AT_ONCE && !far.signal.aborted && now() >= this.#pausedUntilMs) {
      const upload = this.#waiting.shift()
      if (upload === undefined) return
      const entry: UnderWay = { upload, isWanted: true, done: Promise.resolve() }
      this.#underWay.set(upload.name, entry)
      entry.done = this.#work(upload, () => entry.isWanted)
    }
  }

  async #work(upload: Upload, isWanted: () => boolean): Promise<void> {
    try {
      await this.#alone(upload, isWanted)
    } catch {
      // Near is in trouble, and says so to those who wait for it. The record stays.
    } finally {
      this.#underWay.delete(upload.name)
      this.#known.delete(upload.name)
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
    if (uploaded.kind !== 'failed') return records.remove(upload)
    if (far.signal.aborted) return
    far.failed('upload', uploaded.error)
    if (!isOutage(uploaded.error)) return records.refused(upload)
    this.#pausedUntilMs = now() + PAUSE_MS
  }
}
