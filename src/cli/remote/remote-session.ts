import { CacheError } from '../../errors.ts'
import { RemoteTiers } from '../../remote-tiers.ts'
import { placeOf } from '../../store/remote/address-list.ts'
import type { TieredStore } from '../../store/tiered/tiered.ts'
import { cacheModeOf } from '../cache-mode.ts'
import type { CommandContext, Session } from '../command.ts'
import { commandRemote, usersBound } from '../run-remote.ts'
import { MovingLine } from './moving-line.ts'

/** The cache here and the remote one, for a command that moves results between them. Disposing of it ends what moves. */
export interface RemoteSession extends AsyncDisposable {
  readonly tier: TieredStore
  /** The remote's name for people. */
  readonly place: string
}

/**
 * By the same rules as a run: who may name a remote, whose credentials it is shown, what a checkout cannot widen. Throws `usage`
 * where no remote is named, or it may not be used so.
 */
export async function openRemoteSession(
  context: Pick<CommandContext, 'cwd' | 'environment' | 'output'>,
  session: Session,
  use: 'read' | 'write',
): Promise<RemoteSession> {
  const { cache, settings, layers } = session
  const mode = cacheModeOf(settings.cache)
  const choice = commandRemote(session, context)
  if (choice === undefined)
    throw new CacheError('usage', 'No remote cache is named.', {
      hint: 'Name one: --remote grpcs://HOST, or RECUE_REMOTE.',
    })
  const remote = choice.forRun({ ...mode, remote: { ...mode.remote, [other(use)]: false } })
  if (remote === undefined) throw mayNot(use, mode.remote[use] && !usersBound(layers)[use])
  const { blobs, actions, records, leases, frames } = cache
  // What fails is in the reports; a line about it besides would say it twice.
  const tiers = new RemoteTiers({ blobs, actions, records, leases, frames }, cache.dir, () => undefined)
  if (use === 'write') await tiers.tryAgain(remote.address)
  const tier = tiers.tier({ ...remote, isWanted: true, uploadWait: 0 })
  const line = settings.quiet ? undefined : new MovingLine().show(context.output.stderr)
  return {
    tier,
    place: placeOf(remote.address),
    async [Symbol.asyncDispose]() {
      line?.[Symbol.dispose]()
      await tiers.close()
    },
  }
}

function other(use: 'read' | 'write'): 'read' | 'write' {
  return use === 'read' ? 'write' : 'read'
}

function mayNot(use: 'read' | 'write', isBound: boolean): CacheError {
  if (use === 'write' && isBound)
    return new CacheError(
      'usage',
      'Nothing may be sent: you let the remote cache be read only, or this checkout chose the cache folder.',
      {
        hint: 'For once: --cache local:rw,remote:rw; and --cache-dir where the checkout says where the cache is.',
      },
    )
  const what = use === 'write' ? 'written' : 'read'
  return new CacheError('usage', `The remote cache is not to be ${what}: so says the setting "cache".`, {
    hint: 'For once: --cache local:rw,remote:rw.',
  })
}
