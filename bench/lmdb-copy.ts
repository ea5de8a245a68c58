import path from 'node:path'
import { ActionResult } from '../src/proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { actionOf, resultOf } from './action-store.ts'
import { importPeer } from './peers.ts'

/** What of `lmdb` is used. */
interface Lmdb {
  open(options: object): LmdbDatabase
}
interface LmdbDatabase {
  getBinary(key: Uint8Array): Uint8Array | undefined
  put(key: Uint8Array, value: Uint8Array): Promise<boolean>
  close(): Promise<void>
}

const OPTIONS = { encoding: 'binary', keyEncoding: 'binary', compression: false, noSync: true, mapSize: 2 ** 36 }

export async function openLmdb(dir: string): Promise<LmdbDatabase> {
  const lmdb = await importPeer<Lmdb>('lmdb')
  return lmdb.open({ ...OPTIONS, path: dir })
}

/** The same results in `lmdb`, under the same keys. */
export class LmdbCopy implements Disposable {
  readonly dir: string
  readonly #database: LmdbDatabase
  #count = 0

  private constructor(dir: string, database: LmdbDatabase) {
    this.dir = dir
    this.#database = database
  }

  static async open(folder: string): Promise<LmdbCopy> {
    const dir = path.join(folder, 'lmdb')
    return new LmdbCopy(dir, await openLmdb(dir))
  }

  async fill(count: number): Promise<void> {
    let last: Promise<unknown> = Promise.resolve()
    for (; this.#count < count; this.#count++) {
      const bytes = ActionResult.encode(resultOf(this.#count)).finish()
      last = this.#database.put(Buffer.from(actionOf(this.#count).hash, 'hex'), bytes)
      if (this.#count % 10_000 === 0) await last
    }
    await last
  }

  [Symbol.dispose](): void {
    void this.#database.close()
  }
}
