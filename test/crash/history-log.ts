import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import type { Operation } from './history.ts'

type Begun = Pick<Operation, 'kind' | 'key' | 'value'>
type Ended = Pick<Operation, 'outcome' | 'value'>

/** One file for each process, with a line as each operation begins and one as it ends: what it says survives kill -9. */
export class HistoryLog implements Disposable {
  readonly #file: number
  #count = 0

  constructor(folder: string, process: number) {
    this.#file = openSync(`${folder}/${process}`, 'wx')
  }

  /** An exception of the operation is its outcome `failed` when `isExpected` says so. */
  async run(begun: Begun, work: () => Promise<Ended>, isExpected: (error: unknown) => boolean): Promise<void> {
    const id = this.#count++
    this.#write({ id, ...begun, startNs: `${process.hrtime.bigint()}` })
    let ended: Ended
    try {
      ended = await work()
    } catch (error) {
      if (!isExpected(error)) throw error
      ended = { outcome: 'failed' }
    }
    this.#write({ id, ...ended, endNs: `${process.hrtime.bigint()}` })
  }

  #write(line: object): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`)
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }
}

type Line = { id: number; startNs?: string; endNs?: string } & Partial<Begun & Ended>

export function readHistory(folder: string): Operation[] {
  return readdirSync(folder).flatMap((name) => {
    const operations = new Map<number, Operation>()
    for (const text of readFileSync(`${folder}/${name}`, 'utf8').split('\n')) {
      if (text === '') continue
      const { id, startNs, endNs, ...said } = JSON.parse(text) as Line
      if (startNs !== undefined)
        operations.set(id, { ...(said as Begun), process: Number(name), startNs: BigInt(startNs) })
      if (endNs !== undefined)
        operations.set(id, { ...(operations.get(id) as Operation), ...said, endNs: BigInt(endNs) })
    }
    return [...operations.values()]
  })
}
