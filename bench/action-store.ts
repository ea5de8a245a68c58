import { createHash } from 'node:crypto'
import { mkdtempSync, realpathSync, rmSync, statfsSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type ActionDigest, asActionDigest } from '../src/digest/digest.ts'
import { digestOf } from '../src/digest/sha256.ts'
import { ActionResult } from '../src/proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { DEFAULT_SCOPE } from '../src/store/contracts.ts'
import { type LocalStore, openLocalStore } from '../src/store/local/local-store.ts'

/** What results name as their output. */
export const OUTPUT = Buffer.from('export const answer = 42\n'.repeat(100))

const OUTPUT_DIGEST = digestOf(OUTPUT)

/** The name of the action of that number. */
export function actionOf(number: number): ActionDigest {
  return asActionDigest({ hash: createHash('sha256').update(`action ${number}`).digest('hex'), sizeBytes: 142 })
}

/** What is kept for it: an output file and a line of output, 300 bytes with all that a row holds. */
export function resultOf(number: number): ActionResult {
  const empty = ActionResult.decode(new Uint8Array(0))
  const file = { path: `dist/part${number % 100}/file${number}.js`, digest: OUTPUT_DIGEST, isExecutable: false }
  return {
    ...empty,
    outputFiles: [{ ...file, contents: Buffer.alloc(0), nodeProperties: undefined }],
    stdoutRaw: Buffer.from(`built dist/part${number % 100}/file${number}.js in ${number % 977} ms\n`),
  }
}

/** Numbers below `count`, in an order that no cache of pages likes, the same each time. */
export function scattered(count: number, below: number): number[] {
  let state = 12_345
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  })
}

/** With a quota that no benchmark reaches: half the disk. */
export function openBenchStore(dir: string): Promise<LocalStore> {
  const { bsize, blocks } = statfsSync(path.dirname(dir))
  return openLocalStore({ dir, maxCacheBytes: Math.floor((bsize * blocks) / 2) })
}

/** So many at a time share an append and a transaction. */
const PUTS_AT_ONCE = 2000

export async function putActions(store: LocalStore, from: number, to: number): Promise<void> {
  await store.blobs.write(DEFAULT_SCOPE, OUTPUT_DIGEST, OUTPUT)
  for (let first = from; first < to; first += PUTS_AT_ONCE) {
    const puts: Promise<unknown>[] = []
    for (let number = first; number < Math.min(to, first + PUTS_AT_ONCE); number++)
      puts.push(store.actions.put(DEFAULT_SCOPE, actionOf(number), resultOf(number)))
    await Promise.all(puts)
  }
}

let shared: { readonly dir: string; count: number } | undefined

/** The folder of a store with that many results or more; it grows from benchmark to benchmark, and goes with this process. */
export async function storeWith(count: number): Promise<string> {
  shared ??= { dir: temporaryFolder(), count: 0 }
  if (shared.count < count) {
    await using store = await openBenchStore(shared.dir)
    await putActions(store, shared.count, count)
    shared.count = count
  }
  return shared.dir
}

function temporaryFolder(): string {
  const dir = realpathSync(mkdtempSync(path.join(process.env.RECUE_BENCH_DIR ?? os.tmpdir(), 'recue-bench-store-')))
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }))
  return dir
}
