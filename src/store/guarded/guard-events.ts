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

export const GUARD_CHANNEL = 'recue:remote'

const listeners = new Set<(event: GuardEvent) => void>()

export function tellGuard(event: GuardEvent): void {
  for (const listener of listeners) listener(event)
  process.getBuiltinModule('node:diagnostics_channel').channel(GUARD_CHANNEL).publish(event)
}

/** For this process alone: what the channel says of guards, without loading `node:diagnostics_channel`. */
export function hearGuard(listener: (event: GuardEvent) => void): Disposable {
  listeners.add(listener)
  return { [Symbol.dispose]: () => void listeners.delete(listener) }
}
