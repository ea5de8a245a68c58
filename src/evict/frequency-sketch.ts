const ROWS = 4
/** Fewer counters, and keys are taken for each other, which shows in the published traces. */
const COLUMNS_AN_ENTRY = 8
const MOST = 15
/** All counters are halved after so many uses for each entry: what is not asked for any more is overtaken. */
const USES_AN_ENTRY = 10
const FEWEST = 64
/** Odd, so that each spreads all bits of a hash upwards in its own way. */
const SEEDS = [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f] as const

/**
 * About how often a key was used lately, whether it is in the cache or not: a count-min sketch of small counters that
 * are halved from time to time. Einziger et al., "TinyLFU: A Highly Efficient Cache Admission Policy", 2014. 16 to
 * 32 bytes for each entry of the cache.
 */
export class FrequencySketch<K extends string | number> {
  #bits = Math.log2(COLUMNS_AN_ENTRY * FEWEST)
  /** Two to a byte. */
  #counters = new Uint8Array((ROWS << this.#bits) >> 1)
  #uses = 0

  /** How many uses of a cache of that many entries it takes in before it is halved. */
  sampleSize(entries: number): number {
    return USES_AN_ENTRY * Math.max(FEWEST, entries)
  }

  add(key: K, entries: number): void {
    while (COLUMNS_AN_ENTRY * entries > 1 << this.#bits) this.#grow()
    const hash = hashOf(key)
    for (let row = 0; row < ROWS; row++) {
      const at = this.#place(row, hash)
      if (this.#count(at) < MOST) this.#counters[at >> 1] = (this.#counters[at >> 1] as number) + (at & 1 ? 16 : 1)
    }
    // Also where all counters are full: else those of before stay as high as those of now, and nothing is ever admitted.
    if (++this.#uses >= this.sampleSize(entries)) this.#age()
  }

  frequency(key: K): number {
    const hash = hashOf(key)
    let least = MOST
    for (let row = 0; row < ROWS; row++) least = Math.min(least, this.#count(this.#place(row, hash)))
    return least
  }

  #count(at: number): number {
    return ((this.#counters[at >> 1] as number) >> (at & 1 ? 4 : 0)) & MOST
  }

  #place(row: number, hash: number): number {
    return (row << this.#bits) + (Math.imul(hash, SEEDS[row] as number) >>> (32 - this.#bits))
  }

  #age(): void {
    for (let at = 0; at < this.#counters.length; at++) this.#counters[at] = ((this.#counters[at] as number) >> 1) & 0x77
    this.#uses >>= 1
  }

  /** A place is the upper bits of a hash, so each of the old counters stands for two of the new. */
  #grow(): void {
    const old = this.#counters
    this.#bits++
    this.#counters = new Uint8Array(2 * old.length)
    for (const [at, pair] of old.entries()) {
      this.#counters[2 * at] = (pair & MOST) * 17
      this.#counters[2 * at + 1] = (pair >> 4) * 17
    }
  }
}

function hashOf(key: string | number): number {
  let hash = 0x811c9dc5
  if (typeof key === 'number') hash = Math.imul(key ^ (key / 0x1_0000_0000), 0x01000193) ^ hash
  else for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
