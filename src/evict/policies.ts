import { arc } from './arc.ts'
import { clock } from './clock.ts'
import { fifo } from './fifo.ts'
import { gdsf, gdsfOriginal } from './gdsf.ts'
import { lfu } from './lfu.ts'
import { lfuDa } from './lfu-da.ts'
import { lru } from './lru.ts'
import type { EvictionPolicy } from './policy.ts'
import { s3fifo, s3fifoOriginal } from './s3-fifo.ts'
import { sieve } from './sieve.ts'
import { wTinyLfu } from './w-tinylfu.ts'

/** Makes an empty policy for a cache of that size. */
export type MakePolicy = (capacityBytes: number) => EvictionPolicy<number>

/** Every policy that needs no future, by the name it has in options and tables. */
export const POLICIES = {
  fifo: () => fifo<number>(),
  lru: () => lru<number>(),
  clock: () => clock<number>(),
  lfu: () => lfu<number>(),
  'lfu-da': () => lfuDa<number>(),
  arc: (capacityBytes) => arc<number>(capacityBytes),
  sieve: () => sieve<number>(),
  's3-fifo': (capacityBytes) => s3fifo<number>(capacityBytes),
  's3-fifo-original': (capacityBytes) => s3fifoOriginal<number>(capacityBytes),
  'w-tinylfu': (capacityBytes) => wTinyLfu<number>(capacityBytes),
  gdsf: () => gdsf<number>(),
  'gdsf-original': () => gdsfOriginal<number>(),
} as const satisfies Readonly<Record<string, MakePolicy>>

export type PolicyName = keyof typeof POLICIES
