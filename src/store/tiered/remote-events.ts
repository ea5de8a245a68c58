/** What moves between tiers, and what goes wrong with it, is told on the channel `recue:remote`. Nobody needs to do anything. */
export type RemoteEvent =
  /** Blobs are to be moved, have been, or will not be; `down` is towards this machine. Content bytes. */
  | {
      readonly kind: 'due' | 'moved' | 'lost'
      readonly direction: 'down' | 'up'
      readonly place: string
      readonly blobs: number
      readonly bytes: number
    }
  /** The far end failed at something, which goes on without it. */
  | { readonly kind: 'fault'; readonly place: string; readonly during: RemoteWork; readonly error: unknown }

export type RemoteWork = 'look-up' | 'download' | 'upload' | 'removal'

export const REMOTE_CHANNEL = 'recue:remote'

const listeners = new Set<(event: RemoteEvent) => void>()

export function tellRemote(event: RemoteEvent): void {
  for (const listener of listeners) listener(event)
  process.getBuiltinModule('node:diagnostics_channel').channel(REMOTE_CHANNEL).publish(event)
}

/** For this process alone: what the channel says, without loading `node:diagnostics_channel` before there is anything to say. */
export function hearRemote(listener: (event: RemoteEvent) => void): Disposable {
  listeners.add(listener)
  return { [Symbol.dispose]: () => void listeners.delete(listener) }
}
