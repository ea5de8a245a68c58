/** `lookup-child.ts STORE LMDB COUNT`: times look-ups in this process, and prints them as JSON. */
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { cached } from '../src/store/cached/cached-store.ts'
import { DEFAULT_SCOPE } from '../src/store/contracts.ts'
import { actionKey } from '../src/store/local/rows.ts'
import { actionOf, openBenchStore, scattered } from './action-store.ts'
import { openLmdb } from './lmdb-copy.ts'
import { clocks, pairedRounds, type RoundContender } from './paired-rounds.ts'
import type { Timing } from './paired-runs.ts'

export interface LookUpTimes {
  readonly ours: Timing
  /** And decoded. */
  readonly decoded: Timing
  readonly bare: Timing
  readonly memory: Timing
  readonly map: Timing
  /** Undefined: it does not run here. */
  readonly lmdb: Timing | undefined
}

const ASKED = 30_000
const HOT = 1_000
const ROUNDS = 5

const [storeDir, lmdbDir, count] = process.argv.slice(2) as [string, string, string]
const actions = scattered(ASKED, Number(count)).map(actionOf)
const hot = Array.from({ length: ASKED }, (_, i) => actions[i % HOT] ?? actionOf(0))

await using store = await openBenchStore(storeDir)
using tier = cached(store)
const contenders: RoundContender[] = [ours('index'), ours('index, decoded'), bare(), memory(), map(), ...(await lmdb())]
const times = await pairedRounds(contenders, ROUNDS, clocks.processor)
const timeOf = (name: string) => times.find((timing) => timing.name === name)
process.stdout.write(
  `${JSON.stringify({ ours: timeOf('index'), decoded: timeOf('index, decoded'), bare: timeOf('bare read'), memory: timeOf('memory tier'), map: timeOf('Map'), lmdb: timeOf('lmdb') })}\n`,
)

function ours(name: 'index' | 'index, decoded'): RoundContender {
  return {
    name,
    times: ASKED,
    round: async () => {
      for (const action of actions) {
        const found = await store.actions.get(DEFAULT_SCOPE, action)
        if (found.kind !== 'hit') throw new Error(`${action.hash} is a ${found.kind}`)
        if (name === 'index, decoded' && found.result.exitCode !== 0) throw new Error('another result')
      }
    },
  }
}

/** The value alone, neither checked nor decoded, from a file mapped as ours is. */
function bare(): RoundContender {
  const db = new DatabaseSync(path.join(storeDir, 'index.db'), { readOnly: true })
  db.exec('PRAGMA mmap_size=0x7fff0000')
  const read = db.prepare('SELECT value FROM actions WHERE key=?')
  read.setReturnArrays(true)
  return {
    name: 'bare read',
    times: ASKED,
    round: () => {
      for (const { hash } of actions) {
        const row = read.get(actionKey('', hash)) as unknown as [Uint8Array] | undefined
        if (row === undefined || row[0].length === 0) throw new Error(`${hash} is not in the index`)
      }
    },
  }
}

function memory(): RoundContender {
  return {
    name: 'memory tier',
    times: ASKED,
    round: async () => {
      for (const action of hot) {
        const found = await tier.actions.get(DEFAULT_SCOPE, action)
        if (found.kind !== 'hit') throw new Error(`${action.hash} is a ${found.kind}`)
      }
    },
  }
}

function map(): RoundContender {
  const known = new Map(actions.map((action) => [action.hash, action]))
  return {
    name: 'Map',
    times: ASKED,
    round: () => {
      for (const { hash } of hot) if (!known.has(hash)) throw new Error(`${hash} is not in the Map`)
    },
  }
}

async function lmdb(): Promise<RoundContender[]> {
  const database = await openLmdb(lmdbDir).catch(() => undefined)
  if (database?.getBinary(Buffer.from(actionOf(0).hash, 'hex')) === undefined) return []
  return [
    {
      name: 'lmdb',
      times: ASKED,
      round: () => {
        for (const { hash } of actions)
          if (database.getBinary(Buffer.from(hash, 'hex')) === undefined) throw new Error(`${hash} is not in lmdb`)
      },
    },
  ]
}
