import { type RemoteChannel, remoteChannel } from '../remote/remote-channel.ts'

/** What a guard tells on the channel `recue:remote`. Nobody needs to do anything. */
export type GuardEvent =
  /** The end is left alone for so long; `error` is what it did. Told once until it is back. */
  | { readonly kind: 'opened'; readonly place: string; readonly error: unknown; readonly forMs: number }
  /** It answers again. */
  | { readonly kind: 'closed'; readonly place: string }
  | { readonly kind: 'retried'; readonly place: string; readonly what: Asked; readonly error: unknown }
  /** It was asked a second time, since its answer took longer than nearly all before. */
  | { readonly kind: 'hedged'; readonly place: string; readonly what: Asked }

/** What was asked of a remote end. */
export type Asked = 'get' | 'missing' | 'read' | 'write' | 'put' | 'remove'

const channel: RemoteChannel<GuardEvent> = remoteChannel()

export const tellGuard: (event: GuardEvent) => void = channel.tell
export const hearGuard: (listener: (event: GuardEvent) => void) => Disposable = channel.hear
