import type { Evictable } from './policy.ts'

type Entry = Evictable<string>

/** The plainest way to write a policy that one can check by eye: lists, sorts, and no thought for speed. */
export interface NaivePolicy {
  has(key: string): boolean
  hit(entry: Entry): void
  /** Before room is made. */
  ask?(entry: Entry): void
  evict(): string
  insert(entry: Entry): void
}

/** One list, the first leaves; a policy says what a hit does to it, and how the first is found. */
function listPolicy(
  onHit: (list: string[], key: string) => void,
  beforeEvict: (list: string[]) => void = () => undefined,
): NaivePolicy {
  const list: string[] = []
  return {
    has: (key) => list.includes(key),
    hit: ({ key }) => onHit(list, key),
    evict() {
      beforeEvict(list)
      return list.shift() as string
    },
    insert: ({ key }) => void list.push(key),
  }
}

function toEnd(list: string[], key: string): void {
  list.splice(list.indexOf(key), 1)
  list.push(key)
}

function naiveClock(): NaivePolicy {
  const used = new Set<string>()
  return listPolicy(
    (_, key) => used.add(key),
    (list) => {
      while (used.delete(list[0] as string)) toEnd(list, list[0] as string)
    },
  )
}

function naiveSieve(): NaivePolicy {
  const list: string[] = []
  const used = new Set<string>()
  let hand = 0
  return {
    has: (key) => list.includes(key),
    hit: ({ key }) => void used.add(key),
    evict() {
      while (used.delete(list[hand] as string)) hand = (hand + 1) % list.length
      const [victim] = list.splice(hand, 1)
      // Before anything can be inserted: after the newest comes the oldest.
      if (hand === list.length) hand = 0
      return victim as string
    },
    insert: ({ key }) => void list.push(key),
  }
}

/** The lowest leaves, of equals the one used first; `rank` says what a use makes of it. */
function rankPolicy(rank: (uses: number, entry: Entry, age: number) => number): NaivePolicy {
  let list: { entry: Entry; uses: number; rank: number }[] = []
  let age = 0
  const use = (entry: Entry, uses: number) => {
    list = list.filter((other) => other.entry.key !== entry.key)
    list.push({ entry, uses, rank: rank(uses, entry, age) })
  }
  return {
    has: (key) => list.some(({ entry }) => entry.key === key),
    hit({ key }) {
      const found = list.find((one) => one.entry.key === key)
      if (found !== undefined) use(found.entry, found.uses + 1)
    },
    evict() {
      const lowest = Math.min(...list.map((one) => one.rank))
      const [victim] = list.splice(
        list.findIndex((one) => one.rank === lowest),
        1,
      )
      age = Math.max(age, lowest)
      return victim?.entry.key as string
    },
    insert: (entry) => use(entry, 1),
  }
}

/** Figure 4 of the paper, line by line, for entries of size 1. */
function naiveArc(c: number): NaivePolicy {
  const [t1, t2, b1, b2]: [string[], string[], string[], string[]] = [[], [], [], []]
  let p = 0
  let gone: string | undefined
  const replace = (isInB2: boolean) => {
    const fromT1 = t1.length > 0 && (t1.length > p || (isInB2 && t1.length === p))
    const [from, to] = fromT1 ? [t1, b1] : [t2, b2]
    gone = from.shift()
    if (gone !== undefined) to.push(gone)
  }
  const drop = (list: string[], key: string) => void list.splice(list.indexOf(key), 1)
  return {
    has: (key) => t1.includes(key) || t2.includes(key),
    hit({ key }) {
      drop(t1.includes(key) ? t1 : t2, key)
      t2.push(key)
    },
    /** Makes the room as well: the paper has it in one. */
    ask({ key }) {
      if (b1.includes(key)) {
        p = Math.min(p + Math.max(b2.length / b1.length, 1), c)
        replace(false)
        drop(b1, key)
        t2.push(key)
      } else if (b2.includes(key)) {
        p = Math.max(p - Math.max(b1.length / b2.length, 1), 0)
        replace(true)
        drop(b2, key)
        t2.push(key)
      } else {
        const all = t1.length + t2.length + b1.length + b2.length
        if (t1.length + b1.length === c) {
          if (t1.length < c) {
            b1.shift()
            replace(false)
          } else gone = t1.shift()
        } else if (all >= c) {
          if (all === 2 * c) b2.shift()
          replace(false)
        }
        t1.push(key)
      }
    },
    evict: () => gone as string,
    insert: () => undefined,
  }
}

function naiveS3Fifo(capacity: number, fillsMain: boolean): NaivePolicy {
  let small: { entry: Entry; uses: number }[] = []
  let main: { entry: Entry; uses: number }[] = []
  let ghosts: Entry[] = []
  const smallSize = Math.floor(capacity * 0.1)
  const ghostSize = Math.floor(capacity * 0.9)
  let isReturning = false
  let evicted = false
  const bytes = (list: { entry: Entry }[]) => list.reduce((sum, { entry }) => sum + entry.sizeBytes, 0)
  const fromMain = (): string => {
    for (;;) {
      const first = main.shift() as { entry: Entry; uses: number }
      if (first.uses === 0) return first.entry.key
      main.push({ entry: first.entry, uses: Math.min(3, first.uses) - 1 })
    }
  }
  return {
    has: (key) => [...small, ...main].some(({ entry }) => entry.key === key),
    hit({ key }) {
      for (const one of [...small, ...main]) if (one.entry.key === key) one.uses++
    },
    ask({ key }) {
      isReturning = ghosts.some((ghost) => ghost.key === key)
      ghosts = ghosts.filter((ghost) => ghost.key !== key)
    },
    evict() {
      evicted = true
      if (bytes(main) > capacity - smallSize || small.length === 0) return fromMain()
      for (let first = small.shift(); first !== undefined; first = small.shift()) {
        if (first.uses >= 2) main.push({ entry: first.entry, uses: 0 })
        else {
          const { entry } = first
          if (entry.sizeBytes <= ghostSize) ghosts.push(entry)
          while (ghosts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) > ghostSize) ghosts.shift()
          return entry.key
        }
      }
      return fromMain()
    },
    insert(entry) {
      const toMain = isReturning || (fillsMain && !evicted && bytes(small) >= smallSize)
      if (toMain) main = [...main, { entry, uses: 0 }]
      else small = [...small, { entry, uses: 0 }]
    },
  }
}

export const NAIVE_POLICIES: Readonly<Record<string, (capacity: number) => NaivePolicy>> = {
  fifo: () => listPolicy(() => undefined),
  lru: () => listPolicy(toEnd),
  clock: naiveClock,
  sieve: naiveSieve,
  lfu: () => rankPolicy((uses) => uses),
  'lfu-da': () => rankPolicy((uses, _, age) => age + uses),
  gdsf: () =>
    rankPolicy((uses, { costMs, sizeBytes }, age) => age + ((1 + Math.log2(uses)) * costMs * 1e6) / sizeBytes),
  'gdsf-original': () => rankPolicy((uses, { costMs, sizeBytes }, age) => age + (uses * costMs * 1e6) / sizeBytes),
  arc: naiveArc,
  's3-fifo': (capacity) => naiveS3Fifo(capacity, true),
  's3-fifo-original': (capacity) => naiveS3Fifo(capacity, false),
}
