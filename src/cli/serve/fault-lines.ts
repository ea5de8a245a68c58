import { isCacheError } from '../../errors.ts'
import type { Fault } from '../../server/watcher.ts'
import { type GuardEvent, hearGuard } from '../../store/guarded/guard-events.ts'
import { faultLine } from './access-log.ts'

/** The same of the same storage is said again after so long. */
const AGAIN_MS = 60_000

/**
 * What a server says of faults: each once, and those of storage that it shares with others, which every request meets, once a
 * minute with how many met it; and that it is back. Disposing of it ends that.
 */
export class FaultLines implements Disposable {
  readonly #say: (line: string) => void
  readonly #now: () => number
  readonly #hearing: Disposable
  readonly #said = new Map<string, { readonly atMs: number; unsaid: number }>()

  constructor(say: (line: string) => void, now: () => number = Date.now) {
    this.#say = say
    this.#now = now
    this.#hearing = hearGuard((event) => this.#hear(event))
  }

  tell(fault: Fault): void {
    const kind = kindOf(fault.error)
    if (kind === 'left alone') return
    const line = faultLine(fault)
    if (kind === undefined) {
      this.#say(line)
      return
    }
    const before = this.#said.get(kind)
    const now = this.#now()
    if (before !== undefined && now - before.atMs < AGAIN_MS) {
      before.unsaid++
      return
    }
    this.#said.set(kind, { atMs: now, unsaid: 0 })
    this.#say(before === undefined || before.unsaid === 0 ? line : `${line} (and ${before.unsaid} more like it)`)
  }

  [Symbol.dispose](): void {
    this.#hearing[Symbol.dispose]()
  }

  #hear(event: GuardEvent): void {
    if (event.kind === 'closed') {
      this.#said.clear()
      this.#say(`recue: ${event.place} answers again`)
    }
  }
}

/** What lines have in common that are one; undefined for what is said each time. */
function kindOf(error: unknown): string | undefined {
  if (!isCacheError(error)) return undefined
  const { isOpen, server } = error.context as { readonly isOpen?: boolean; readonly server?: string }
  const isStorage = server !== undefined || error.code.startsWith('remote.') || error.code === 'store.full'
  if (!isStorage) return undefined
  return isOpen === true ? 'left alone' : `${error.code} ${server ?? ''}`
}
