import { placeOf } from '../../connect/server-address.ts'
import { CacheError } from '../../errors.ts'
import { type CcacheHelperOptions, serveCcache } from '../../programs/ccache/ccache-helper.ts'
import { localCcacheStorage, remoteCcacheStorage } from '../../programs/ccache/ccache-storage.ts'
import { type HelperSettings, helperSettings } from '../../programs/ccache/helper-settings.ts'
import { type CommandContext, defineCommand } from '../command.ts'

/** A server that was away is asked again after so long: the helper outlives many compilations. */
const PAUSE_MS = 20_000

export const command = defineCommand({
  name: 'ccache-helper',
  summary: "Be ccache's storage helper",
  usage: ['ccache-helper'],
  description:
    'ccache 4.13 and later start it by themselves: CCACHE_REMOTE_STORAGE="recue://HOST:8377 helper=recue", or without helper= where a ' +
    'link named ccache-storage-recue stands in the PATH. It serves all compilations of a user over kept connections, ' +
    'and ends when nothing was compiled for a while. recue:/// is the store of this machine.',
  options: {},
  arguments: { min: 0, max: 0 },
  async run(context) {
    const settings = helperSettings(context.environment)
    if (settings === undefined) {
      throw new CacheError('usage', 'It is ccache that starts its storage helper.', {
        hint: 'Set CCACHE_REMOTE_STORAGE="recue://HOST:8377 helper=recue".',
      })
    }
    const { endpoint, idleMs, layout, server } = settings
    const options = { endpoint, idleMs, layout, signal: context.signal }
    if (server === undefined) await serveLocal(context, settings, options)
    else {
      const { remoteServer } = await import('../../programs/remote-server.ts')
      let trouble: string | undefined
      using remote = remoteServer(server, {
        pauseMs: PAUSE_MS,
        onDown: (why) => {
          trouble = `left alone since ${new Date().toISOString()}: ${why}`
        },
      })
      process.chdir('/')
      const diagnostics = () => [placeOf(server), ...(trouble === undefined ? [] : [trouble])]
      await serveCcache({ ...options, storage: remoteCcacheStorage(remote), diagnostics })
    }
    return 0
  },
})

type Shared = Omit<CcacheHelperOptions, 'storage' | 'diagnostics'>

/** The folder in which the first compilation was started may be removed while the helper lives. */
async function serveLocal(context: CommandContext, { instance }: HelperSettings, options: Shared): Promise<void> {
  await using session = await context.open()
  process.chdir('/')
  const storage = localCcacheStorage(session.cache, { instance })
  await serveCcache({ ...options, storage, diagnostics: () => [session.cache.dir] })
}
