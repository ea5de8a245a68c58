import type { Digest } from '../../digest/digest.ts'
import type { Scope } from '../../store/contracts.ts'
import type { Served } from '../protocol.ts'
import { turnsEach } from '../turns.ts'
import type { MiseResult } from './action-result.ts'
import { blobNamed, LOOK_UPS_A_TURN, objectBytes } from './blobs.ts'
import { type CacheDigest, pathOf } from './cache-digest.ts'
import { canonicalValue } from './canonical-json.ts'
import { directoryObject } from './directory-object.ts'

/** All that a result reaches. */
export interface ResultGraph {
  /** By the names of mise's, by which the store has them. */
  readonly blobs: ReadonlyMap<string, Digest>
  readonly durationMs: number
}

const MOST_BLOBS = 100_000

/** Why a result cannot be published, in words for a client's log. */
export class InvalidGraph extends Error {}

/** Throws `InvalidGraph` unless all is there, of the right form, and of a size that can be held. */
export async function resultGraph(
  served: Served,
  scope: Scope,
  { action, metadata, outputRoot }: MiseResult,
  signal: AbortSignal,
): Promise<ResultGraph> {
  const walk = new Walk(served, scope, signal)
  await walk.object(action, 'action descriptor')
  const about = metadata && (await walk.object(metadata, 'client metadata'))
  if (outputRoot !== undefined) await walk.tree(outputRoot)
  const nanoseconds = Number(about?.execution_duration_ns ?? 0)
  return { blobs: walk.blobs, durationMs: nanoseconds > 0 ? Math.round(nanoseconds / 1e6) : 0 }
}

class Walk {
  readonly blobs = new Map<string, Digest>()
  readonly #served: Served
  readonly #scope: Scope
  readonly #signal: AbortSignal
  readonly #turn = turnsEach(LOOK_UPS_A_TURN)

  constructor(served: Served, scope: Scope, signal: AbortSignal) {
    this.#served = served
    this.#scope = scope
    this.#signal = signal
  }

  /** Each directory once: a digest cannot be below itself. */
  async tree(root: CacheDigest): Promise<void> {
    const seen = new Set([pathOf(root)])
    const waiting = [root]
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const directory = directoryObject(await this.object(next, 'directory object'))
      if (directory === undefined) throw new InvalidGraph('a directory object is invalid')
      for (const file of directory.files) await this.#blob(file, 'file blob')
      for (const below of directory.directories) {
        if (seen.has(pathOf(below))) continue
        seen.add(pathOf(below))
        waiting.push(below)
      }
    }
  }

  async object(digest: CacheDigest, what: string): Promise<Readonly<Record<string, unknown>>> {
    const stored = await this.#blob(digest, what)
    const bytes = await objectBytes(this.#served, this.#scope, stored, this.#signal)
    const value = bytes && canonicalValue(bytes)
    if (value === undefined)
      throw new InvalidGraph(`the ${what} is no canonical JSON object of a size that can be read`)
    return value
  }

  async #blob(digest: CacheDigest, what: string): Promise<Digest> {
    await this.#turn()
    const path = pathOf(digest)
    const stored = this.blobs.get(path) ?? (await blobNamed(this.#served, this.#scope, digest, this.#signal))
    if (stored === undefined) throw new InvalidGraph(`a ${what} is missing: ${path}`)
    this.blobs.set(path, stored)
    if (this.blobs.size > MOST_BLOBS) throw new InvalidGraph(`it names more than ${MOST_BLOBS} blobs`)
    return stored
  }
}
