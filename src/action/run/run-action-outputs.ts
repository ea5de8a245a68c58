import { digestOfMessage } from '../../digest/message-digest.ts'
import { CacheError, isCacheError } from '../../errors.ts'
import type { Lease } from '../../store/contracts.ts'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import { clashingOutputs } from '../outputs/output-declarations.ts'
import type { ActiveRun } from './run-action-active.ts'
import { holdOrSay } from './single-flight.ts'

/**
 * Makes this run the only one that writes these outputs of this workspace, or any inside of them, until disposed of. Throws
 * `wait.timed-out` when others keep them for longer than this run is to wait. Where the store has no leases to give, nobody
 * waits.
 */
export async function holdOutputs(run: ActiveRun, outputs: readonly OutputDeclaration[]): Promise<AsyncDisposable> {
  if (outputs.length === 0) return NOTHING_HELD
  const claims = new Claims(run, outputs)
  const held = await run.attempt(() => run.clock.elsewhere(() => claims.hold()).catch(timeOutAsValue))
  if (isCacheError(held)) throw held
  return held ?? NOTHING_HELD
}

/** It is no fault of the cache's, which the command would have to run in spite of. */
function timeOutAsValue(error: unknown): CacheError {
  if (isCacheError(error) && error.code === 'wait.timed-out') return error
  throw error
}

const NOTHING_HELD: AsyncDisposable = { async [Symbol.asyncDispose]() {} }

class Claims {
  readonly #run: ActiveRun
  readonly #prefix: string
  /** In one order for all, or two runs could wait for each other. */
  readonly #names: readonly string[]
  /** Held by a run that waits for this one. */
  readonly #nested = new Set<string>()

  constructor(run: ActiveRun, outputs: readonly OutputDeclaration[]) {
    const { hash } = digestOfMessage(Buffer.from(run.request.root))
    this.#run = run
    this.#prefix = `outputs-${hash.slice(0, 20)}-`
    this.#names = [...new Set(outputs.map((output) => this.#prefix + wordOf(output)))].sort()
  }

  /** A lease for each output; who meets a lease before its own gives up all it has, waits for that, and begins again. */
  async hold(): Promise<AsyncDisposable> {
    for (;;) {
      const held = new AsyncDisposableStack()
      const earlier = await this.#holdAll(held).catch(async (error: unknown) => {
        await held.disposeAsync()
        throw error
      })
      if (earlier === undefined) return held
      await held.disposeAsync()
      await this.#waitFor(earlier)
    }
  }

  /** The name of a lease that has to be waited for first; undefined when all are held. */
  async #holdAll(held: AsyncDisposableStack): Promise<string | undefined> {
    for (const name of this.#names) {
      const lease = await this.#holdOne(name)
      if (lease !== undefined) held.use(lease)
      // The lease was there before this look, so of two that meet at least one sees the other.
      for (const other of await this.#clashingWith(name)) {
        if (other < name) return other
        await this.#waitFor(other)
      }
    }
    return undefined
  }

  async #clashingWith(name: string): Promise<readonly string[]> {
    const own = [outputOf(name.slice(this.#prefix.length))]
    const clashing: string[] = []
    for (const other of this.#run.engine.leases.heldNames(this.#prefix).sort()) {
      if (this.#names.includes(other) || this.#nested.has(other)) continue
      const clash = await clashingOutputs(own, [outputOf(other.slice(this.#prefix.length))])
      if (clash !== undefined) clashing.push(other)
    }
    return clashing
  }

  async #waitFor(name: string): Promise<void> {
    await (await this.#holdOne(name))?.[Symbol.asyncDispose]()
  }

  async #holdOne(name: string): Promise<Lease | undefined> {
    const { engine, options, request } = this.#run
    const { notice, waitMs, signal } = options
    const label = request.argv.join(' ')
    const onWait = (holder: string) => notice({ kind: 'waiting', holder })
    const holding = await holdOrSay(engine.leases, name, { label, onWait, waitMs, signal })
    if (holding.kind === 'held') return holding.lease
    if (holding.kind === 'waited-enough') throw waitedEnough(name.slice(this.#prefix.length))
    this.#nested.add(name)
    return undefined
  }
}

function wordOf({ kind, path }: OutputDeclaration): string {
  return `${kind === 'glob' ? '*' : '/'}${path.toWellFormed()}`
}

function outputOf(word: string): OutputDeclaration {
  return { kind: word.startsWith('*') ? 'glob' : 'path', path: word.slice(1) }
}

function waitedEnough(word: string): CacheError {
  const path = word.slice(1)
  return new CacheError('wait.timed-out', `Another run still writes ${path}.`, {
    hint: 'Wait for it, or give more time with --wait.',
    context: { path },
  })
}
