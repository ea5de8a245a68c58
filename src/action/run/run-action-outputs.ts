import { digestOfMessage } from '../../digest/message-digest.ts'
import { CacheError } from '../../errors.ts'
import type { Lease } from '../../store/contracts.ts'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { ActiveRun } from './run-action-active.ts'
import { holdOrSay } from './single-flight.ts'

/**
 * Makes this run the only one that writes these outputs of this workspace, until disposed of. Throws `wait.timed-out`
 * when others keep them for longer than this run is to wait. Where the store has no leases to give, nobody waits.
 */
export async function holdOutputs(run: ActiveRun, outputs: readonly OutputDeclaration[]): Promise<AsyncDisposable> {
  const { root, argv } = run.request
  const held = new AsyncDisposableStack()
  try {
    // In one order for all, or two runs could wait for each other.
    for (const path of [...new Set(outputs.map((output) => output.path))].sort()) {
      const { hash } = digestOfMessage(Buffer.from(`${root}\0${path}`))
      const name = `outputs-${hash.slice(0, 40)}`
      const lease = await run.attempt(() => run.clock.elsewhere(() => holdOne(run, name, argv.join(' '))))
      if (lease === 'waited-enough') throw waitedEnough(path)
      if (lease === undefined) break
      if (lease !== 'nested') held.use(lease)
    }
    return held.move()
  } catch (error) {
    await held.disposeAsync()
    throw error
  }
}

async function holdOne(run: ActiveRun, name: string, label: string): Promise<Lease | 'waited-enough' | 'nested'> {
  const { notice, waitMs, signal } = run.options
  const holding = await holdOrSay(run.engine.leases, name, {
    label,
    onWait: (holder) => notice({ kind: 'waiting', holder }),
    waitMs,
    signal,
  })
  return holding.kind === 'held' ? holding.lease : holding.kind
}

function waitedEnough(path: string): CacheError {
  return new CacheError('wait.timed-out', `Another run still writes ${path}.`, {
    hint: 'Wait for it, or give more time with --wait.',
    context: { path },
  })
}
