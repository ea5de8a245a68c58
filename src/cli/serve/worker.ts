import type { Listening, Order } from './worker-messages.ts'

/** The process that started this one as a worker, seen from here. */
export interface Supervisor {
  /** Aborted when the worker is to end, also where nobody is left to tell it. */
  readonly signal: AbortSignal
  /** Done when the others may be told of something: the first line is the supervisor's. */
  readonly mayWrite: Promise<void>
  tell(listening: Listening): void
}

/** Undefined where this process is no worker. */
export function supervisorOf(isWorker: boolean): Supervisor | undefined {
  const send = process.send?.bind(process)
  if (!isWorker || send === undefined) return undefined
  const end = new AbortController()
  // From the keyboard it reaches all processes at once, and the supervisor says what is to be done.
  process.on('SIGINT', () => undefined)
  process.on('SIGHUP', () => undefined)
  process.once('SIGTERM', () => end.abort())
  process.once('disconnect', () => {
    if (end.signal.aborted) process.exit(1)
    end.abort()
  })
  const mayWrite = new Promise<void>((resolve) => {
    process.on('message', (order: Order) => {
      if (order === 'go') resolve()
      else end.abort()
    })
  })
  return { signal: end.signal, mayWrite, tell: (listening) => void send(listening) }
}
