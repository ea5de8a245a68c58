import { type LocalStore, openLocalStore } from '../../src/store/local/local-store.ts'
import { SMALL, saveEntry } from './entries.ts'

/**
 * A process that does one thing over and over until it is killed or has done its rounds. It writes one line for each
 * thing that is done, so that whoever kills it knows what must have stayed:
 *
 *     node worker.ts DIR JOB SEED ROUNDS [LARGE_BYTES]
 */
const [dir = '', job = '', seed = '', rounds = '1', largeBytes = '0'] = process.argv.slice(2)
const SHAPE = { ...SMALL, fileBytes: 3000, largeBytes: Number(largeBytes) }
const QUOTA = 8 * 2 ** 20

await using store = await openLocalStore({ dir, maxCacheBytes: QUOTA })
say('ready')
for (let round = 0; round < Number(rounds); round++) await jobs()[job]?.(store, round)
say('done')

function jobs(): Record<string, (store: LocalStore, round: number) => Promise<void>> {
  return { save, collect }
}

async function save(into: LocalStore, round: number): Promise<void> {
  const name = `${seed}-${round}`
  await saveEntry(into, name, SHAPE)
  say(`saved ${name}`)
}

async function collect(from: LocalStore, round: number): Promise<void> {
  // Ever less, so that each round removes some and copies the rest.
  await from.catalog.collect({ targetBytes: Math.max(0, 3 - round * 0.5) * 2 ** 20 })
  say(`collected ${round}`)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
