import { sha256Hex } from '../../digest/sha256.ts'

/** Someone who keeps a share of the keys. The name is who it is, also when its address or its place in a list changes. */
export interface Member {
  readonly name: string
  /** Its share, compared with the others'. */
  readonly weight: number
}

/**
 * Highest random weight (D. Thaler, C. Ravishankar: Using Name-Based Mappings to Increase Hit Rates, IEEE/ACM Transactions on Networking
 * 6(1), 1998), weighted by -w / ln(h): each member draws a number for each key, and the highest have it. So everybody who knows the
 * names finds the same ones, with no table, and a member that comes or goes moves only what it gets or had.
 */
export class Rendezvous {
  readonly #seeds: readonly (readonly [number, number])[]
  readonly #weights: readonly number[]
  readonly #most: number

  /** Of the members, `most` have each key. */
  constructor(members: readonly Member[], most: number) {
    this.#seeds = members.map(({ name }) => wordsOf(sha256Hex(name)))
    this.#weights = members.map(({ weight }) => weight)
    this.#most = Math.min(most, members.length)
  }

  /** The members, by their places in the list, that have the key of this SHA-256: the first one first. */
  of(hash: string): number[] {
    const [high, low] = wordsOf(hash)
    const scores = this.#seeds.map(
      ([one, two], i) => (this.#weights[i] as number) / -Math.log(drawn(high ^ one, low ^ two)),
    )
    const best: number[] = []
    while (best.length < this.#most) {
      let next = -1
      for (const [i, score] of scores.entries())
        if (!best.includes(i) && (next === -1 || score > (scores[next] as number))) next = i
      best.push(next)
    }
    return best
  }
}

function wordsOf(hash: string): readonly [number, number] {
  return [Number.parseInt(hash.slice(0, 8), 16), Number.parseInt(hash.slice(8, 16), 16)]
}

/**
 * A number between 0 and 1, neither of them. Keys are SHA-256 already: 64 of their bits, mixed with 64 of the name's so that each
 * affects all, are as good as a hash of both, and cost a hundredth of one.
 */
function drawn(high: number, low: number): number {
  const first = mixed(high ^ mixed(low))
  const second = mixed(low ^ first)
  return (mixed(first ^ second) * 0x200000 + (second >>> 11) + 0.5) / 2 ** 53
}

/** Each bit of the word changes each bit of the result in about half of all cases (the finalizer of MurmurHash3). */
function mixed(word: number): number {
  let mix = word
  mix = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b)
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35)
  return (mix ^ (mix >>> 16)) >>> 0
}
