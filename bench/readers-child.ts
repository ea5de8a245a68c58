/** `readers-child.ts read|write STORE COUNT NUMBER`: one of the processes of `readers.ts`. */
import { setImmediate as breathe } from 'node:timers/promises'
import { digestOf } from '../src/digest/sha256.ts'
import { DEFAULT_SCOPE } from '../src/store/contracts.ts'
import { readWhole } from '../src/store/read-whole.ts'
import { actionOf, OUTPUT, openBenchStore, resultOf, scattered } from './action-store.ts'
import { serveRounds } from './child-script.ts'

const [role, dir, count, number] = process.argv.slice(2) as [string, string, string, string]
const store = await openBenchStore(dir)
let next = Number(count)
let isStopped = false
let writing: Promise<number> = Promise.resolve(0)

serveRounds(role === 'read' ? read : write)

/** One result and the blob that it names are one read. */
async function read(word: string): Promise<object> {
  const numbers = scattered(Number(word) + Number(number), Number(count)).slice(Number(number))
  const times = new Float64Array(numbers.length)
  for (const [i, one] of numbers.entries()) {
    const action = actionOf(one)
    const start = performance.now()
    const found = await store.actions.get(DEFAULT_SCOPE, action)
    if (found.kind !== 'hit') throw new Error(`${one} is a ${found.kind}`)
    const digest = found.result.outputFiles[0]?.digest ?? digestOf(OUTPUT)
    if ((await readWhole(store.blobs, DEFAULT_SCOPE, digest)) === undefined) throw new Error(`${one} has no blob`)
    times[i] = performance.now() - start
  }
  times.sort()
  const at = (share: number) => times[Math.floor(times.length * share)]
  return { p50Ms: at(0.5), p99Ms: at(0.99) }
}

/** From `start` to `stop`: results and blobs, a hundred of each at a time, and collections that find nothing to remove. */
async function write(word: string): Promise<object> {
  if (word === 'start') {
    isStopped = false
    writing = saveAndCollect()
    return {}
  }
  isStopped = true
  return { saved: await writing }
}

async function saveAndCollect(): Promise<number> {
  const [saved] = await Promise.all([save(), collect()])
  return saved
}

async function save(): Promise<number> {
  const first = next
  while (!isStopped) {
    const blobs = Array.from({ length: 100 }, (_, i) => Buffer.from(`blob ${next + i} `.repeat(200)))
    await Promise.all(blobs.map((blob) => store.blobs.write(DEFAULT_SCOPE, digestOf(blob), blob)))
    const numbers = blobs.map((_, i) => next + i)
    await Promise.all(numbers.map((one) => store.actions.put(DEFAULT_SCOPE, actionOf(one), resultOf(one))))
    next += numbers.length
    await breathe()
  }
  return next - first
}

async function collect(): Promise<void> {
  while (!isStopped) {
    await store.catalog.collect()
    await breathe()
  }
}
