/** Where it is told what other machines' caches do: what moves and fails between tiers, and what a guard makes of an end. */
export const REMOTE_CHANNEL = 'recue:remote'

/** One kind of what is told there. */
export interface RemoteChannel<Event> {
  tell(event: Event): void
  /** For this process alone, without loading `node:diagnostics_channel` before there is anything to say. */
  hear(listener: (event: Event) => void): Disposable
}

export function remoteChannel<Event>(): RemoteChannel<Event> {
  const listeners = new Set<(event: Event) => void>()
  return {
    tell(event) {
      for (const listener of listeners) listener(event)
      process.getBuiltinModule('node:diagnostics_channel').channel(REMOTE_CHANNEL).publish(event)
    },
    hear(listener) {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
  }
}
