import { type RemoteChannel, remoteChannel } from '../remote/remote-channel.ts'

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

const channel: RemoteChannel<RemoteEvent> = remoteChannel()

export const tellRemote: (event: RemoteEvent) => void = channel.tell
export const hearRemote: (listener: (event: RemoteEvent) => void) => Disposable = channel.hear
