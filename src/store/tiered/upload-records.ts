import { type ActionDigest, asActionDigest } from '../../digest/digest.ts'
import { isCacheError } from '../../errors.ts'
import type { Scope, WorkspaceRecords } from '../contracts.ts'

/** A result that is to be uploaded, as it is written down: all of it is in the record's name. */
export interface Upload {
  readonly name: string
  readonly scope: Scope
  readonly action: ActionDigest
}

/** A place that was not reached for so long will hardly want it any more. */
const FORGOTTEN_MS = 7 * 24 * 60 * 60 * 1000
/** About 200 bytes each. Of more the oldest are given up. */
const MOST_RECORDS = 10_000
/** How often an end may refuse a result that it could be asked for. */
const MOST_TRIES = 5
/** Base 36 until the year 5188: names sort by their times. */
const TIME_DIGITS = 9

/** What is still to be uploaded to one place, in the order in which it was put, for whichever process has the time. */
export class UploadRecords {
  readonly #records: WorkspaceRecords
  readonly #place: string
  readonly #now: () => number

  constructor(records: WorkspaceRecords, place: string, now: () => number) {
    this.#records = records
    this.#place = encodeURIComponent(place)
    this.#now = now
  }

  async add(scope: Scope, action: ActionDigest): Promise<Upload | undefined> {
    const time = Math.max(0, this.#now()).toString(36).padStart(TIME_DIGITS, '0')
    const { hash, sizeBytes } = action
    const name = `${this.#place} ${time} ${hash} ${sizeBytes} ${encodeURIComponent(scope.instance)}`
    const isWritten = await this.#quietly(() => this.#records.save('upload', name, Buffer.of(0)))
    return isWritten ? { name, scope, action } : undefined
  }

  has({ name }: Upload): boolean {
    return this.#records.load('upload', name) !== undefined
  }

  async remove({ name }: Upload): Promise<void> {
    await this.#quietly(() => this.#records.remove('upload', name))
  }

  /** The end did not take it, though it could be asked. */
  async refused(upload: Upload): Promise<void> {
    const tries = (this.#records.load('upload', upload.name)?.[0] ?? 0) + 1
    if (tries >= MOST_TRIES) return this.remove(upload)
    await this.#quietly(() => this.#records.save('upload', upload.name, Buffer.of(tries)))
  }

  count(): number {
    return this.#records.names('upload', `${this.#place} `).length
  }

  /** All that is left to do here, oldest first. What is too old is given up, also that of places which nobody asks for any more. */
  async left(): Promise<Upload[]> {
    const left: Upload[] = []
    for (const name of this.#records.names('upload', '')) {
      const found = parsed(name)
      const isForgotten = found === undefined || Math.abs(this.#now() - found.addedMs) > FORGOTTEN_MS
      if (isForgotten) await this.#quietly(() => this.#records.remove('upload', name))
      else if (found.place === this.#place) left.push(found.upload)
    }
    for (const upload of left.splice(0, left.length - MOST_RECORDS)) await this.remove(upload)
    return left
  }

  /** What cannot be written down costs an upload at most. */
  async #quietly(work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      if (!isCacheError(error)) throw error
      return false
    }
  }
}

function parsed(name: string): { place: string; addedMs: number; upload: Upload } | undefined {
  const [place = '', time = '', hash = '', size = '', instance] = name.split(' ')
  const [addedMs, sizeBytes] = [Number.parseInt(time, 36), Number(size)]
  if (instance === undefined || !Number.isFinite(addedMs) || !Number.isInteger(sizeBytes)) return undefined
  const action = asActionDigest({ hash, sizeBytes })
  try {
    return { place, addedMs, upload: { name, action, scope: { instance: decodeURIComponent(instance) } } }
  } catch {
    // No encoding of anything.
    return undefined
  }
}
