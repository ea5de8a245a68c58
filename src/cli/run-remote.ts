import type { RemoteCacheOptions } from '../remote-tiers.ts'
import type { RemoteAccess } from '../store/remote/remote-address.ts'
import { type CacheMode, cacheModeOf } from './cache-mode.ts'
import type { CommandContext } from './command.ts'
import type { MovingLine } from './remote/moving-line.ts'
import { ALL_OPTIONS, type Layer, resolve, type Settings } from './settings.ts'

/** The remote cache of one command. What it takes to ask it is loaded and read when something is not here. */
export class CommandRemote {
  readonly #address: string
  readonly #layers: readonly Layer[]
  readonly #settings: RemoteSettings
  readonly #context: Pick<CommandContext, 'cwd' | 'environment' | 'output'>
  readonly #access = (address: string) => this.#opened(address)
  #line: MovingLine | undefined

  constructor(address: string, { layers, settings, context }: CommandRemoteOptions) {
    this.#address = address
    this.#layers = layers
    this.#settings = settings
    this.#context = context
  }

  /** For a run whose setting `cache` is this; undefined where it is neither to be read nor written. */
  forRun(mode: CacheMode, download: 'all' | 'none' = 'all'): RemoteCacheOptions | undefined {
    const bound = usersBound(this.#layers)
    const read = mode.remote.read && bound.read
    const write = mode.remote.write && bound.write
    if (!read && !write) return undefined
    return { address: this.#address, read, write, download, ...this.#settings, access: this.#access }
  }

  /** Shows on a terminal what moves, until it is disposed of. */
  showMoving(): Disposable | undefined {
    return this.#line?.show(this.#context.output.stderr)
  }

  async #opened(address: string): Promise<RemoteAccess> {
    const [{ remoteChoices }, { accessTo }, { MovingLine }] = await Promise.all([
      import('./remote/remote-choice.ts'),
      import('./remote/remote-access.ts'),
      import('./remote/moving-line.ts'),
    ])
    const { cwd, environment } = this.#context
    const choice = remoteChoices(this.#layers, cwd).find((each) => each.address === address)
    if (choice === undefined) throw new Error('no remote is named')
    const access = accessTo(choice, environment)
    this.#line ??= new MovingLine()
    return access
  }
}

type RemoteSettings = Required<Pick<RemoteCacheOptions, 'uploadWait' | 'timeout' | 'replicas'>>

interface CommandRemoteOptions {
  readonly layers: readonly Layer[]
  readonly settings: RemoteSettings
  readonly context: Pick<CommandContext, 'cwd' | 'environment' | 'output'>
}

/** Undefined where none is named. */
export function commandRemote(
  configured: { readonly settings: Settings; readonly layers: readonly Layer[] },
  context: CommandRemoteOptions['context'],
): CommandRemote | undefined {
  const { settings, layers } = configured
  const { remote, uploadWait, remoteTimeout: timeout, remoteReplicas: replicas } = settings
  if (remote === undefined || remote === '') return undefined
  return new CommandRemote(remote, { layers, settings: { uploadWait, timeout, replicas }, context })
}

/**
 * What a checkout cannot widen: the user's own word on what a remote may be asked and sent. And what lies in a cache folder that
 * the checkout chose may have come with it, so nothing of it is sent anywhere.
 */
export function usersBound(layers: readonly Layer[]): { readonly read: boolean; readonly write: boolean } {
  const own = layers.filter(({ origin }) => origin !== 'project' && origin !== 'task')
  const said = resolve({ cache: ALL_OPTIONS.cache }, own).get('cache')?.value
  const { read, write } = cacheModeOf(String(said)).remote
  const folder = layers.find(({ values }) => values.has('cacheDir'))
  const isForeign = folder?.origin === 'project' || folder?.origin === 'task'
  return { read, write: write && !isForeign }
}
