import { digestOf } from '../src/digest/sha256.ts'
import { openLegacyCache } from '../src/migrate/legacy/legacy-cache.ts'
import type { LegacyTask } from '../src/migrate/legacy/legacy-task.ts'
import { DEFAULT_SCOPE } from '../src/store/contracts.ts'
import { actionOf, openBenchStore, resultOf } from './action-store.ts'

/** One side of the comparison with the old format, in one process. */
export interface LegacyWork extends AsyncDisposable {
  /** Keeps results under these numbers, one after the other. */
  save(numbers: readonly number[]): Promise<void>
  /** Keeps them as of tasks that end together. */
  saveTogether(numbers: readonly number[]): Promise<void>
  /** From the task to its result, one after the other. */
  lookUp(numbers: readonly number[]): Promise<void>
  /** The same when the key is known already. */
  get(numbers: readonly number[]): Promise<void>
}

export async function legacyWork(side: string, dir: string): Promise<LegacyWork> {
  return side === 'recue' ? recueSide(dir) : legacySide(dir)
}

/** A task without inputs and outputs: what is measured is the cache, not the work tree. */
function taskOf(number: number): LegacyTask {
  const command = `node build.js --part ${number % 100} --file ${number}`
  return { name: `build-${number}`, workingDir: '/work', config: { command, cache: true } }
}

function legacySide(dir: string): LegacyWork {
  const cache = openLegacyCache({ dir })
  const keys = new Map<number, string>()
  const keyOf = (number: number) => {
    const key = keys.get(number) ?? cache.key(taskOf(number))
    keys.set(number, key)
    return key
  }
  const get = async (number: number, key: string) => {
    if ((await cache.get(key, taskOf(number))) === undefined) throw new Error(`the old cache has no ${number}`)
  }
  return {
    async save(numbers) {
      for (const number of numbers) await cache.save(keyOf(number), taskOf(number), 0)
    },
    async saveTogether(numbers) {
      await Promise.all(numbers.map((number) => cache.save(keyOf(number), taskOf(number), 0)))
    },
    async lookUp(numbers) {
      for (const number of numbers) await get(number, cache.key(taskOf(number)))
    },
    async get(numbers) {
      for (const number of numbers) await get(number, keyOf(number))
    },
    async [Symbol.asyncDispose]() {},
  }
}

async function recueSide(dir: string): Promise<LegacyWork> {
  const store = await openBenchStore(dir)
  const get = async (number: number) => {
    const found = await store.actions.get(DEFAULT_SCOPE, actionOf(number))
    if (found.kind !== 'hit') throw new Error(`recue has no ${number}: ${found.kind}`)
  }
  const put = (number: number) => store.actions.put(DEFAULT_SCOPE, actionOf(number), resultOf(number))
  return {
    async save(numbers) {
      for (const number of numbers) await put(number)
    },
    async saveTogether(numbers) {
      await Promise.all(numbers.map(put))
    },
    async lookUp(numbers) {
      for (const number of numbers) {
        digestOf(Buffer.from(JSON.stringify(taskOf(number))))
        await get(number)
      }
    },
    async get(numbers) {
      for (const number of numbers) await get(number)
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}
