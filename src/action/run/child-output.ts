import type { Readable } from 'node:stream'
import type { StreamName } from './stream-order.ts'

/** How long the pipes of a command that has ended may stay open in silence, and with somebody still writing. */
const SILENCE_MS = 1_000
const CHATTER_MS = 10_000

/** `gone`: nobody reads this stream any more, so it is closed, as the command would find it without recue. */
export type Delivered = 'gone' | undefined
export type OutputStreams = Readonly<Record<StreamName, Readable>>
export type Deliver = (stream: StreamName, chunk: Uint8Array) => Promise<Delivered> | Delivered

/**
 * Hands over what a child writes, in the order received. Ends when both pipes are closed and everything is delivered;
 * a process in the background that keeps them open is not waited for long once the child itself has ended.
 */
export async function pumpOutput(
  streams: OutputStreams,
  exited: Promise<unknown>,
  deliver: Deliver,
): Promise<{ leftBehind: boolean }> {
  const { stdout, stderr } = streams
  const lane = oneLane(streams, deliver)
  stdout.on('data', (chunk: Buffer) => lane.push('stdout', chunk))
  stderr.on('data', (chunk: Buffer) => lane.push('stderr', chunk))
  const closed = Promise.all([closeOf(stdout), closeOf(stderr)]).then((): true => true)
  const isClosed = await Promise.race([closed, exited.then(() => abandoned(lane, closed))])
  if (!isClosed) {
    stdout.destroy()
    stderr.destroy()
  }
  await lane.idle()
  return { leftBehind: !isClosed }
}

interface Lane {
  push(stream: StreamName, chunk: Uint8Array): void
  isIdle(): boolean
  lastMs(): number
  idle(): Promise<unknown>
}

/** One delivery after the other; while one waits, neither stream is read, so the child is held by its full pipe. */
function oneLane(streams: OutputStreams, deliver: Deliver): Lane {
  let waiting = 0
  let tail: Promise<void> = Promise.resolve()
  let last = performance.now()
  const both = Object.values(streams)
  const settle = (stream: StreamName, delivered: Delivered) => {
    if (delivered === 'gone') streams[stream].destroy()
  }
  const wake = () => {
    last = performance.now()
    if (--waiting === 0) for (const stream of both) stream.resume()
  }
  return {
    push(stream, chunk) {
      last = performance.now()
      const now = waiting === 0 ? deliver(stream, chunk) : tail.then(() => deliver(stream, chunk))
      if (!(now instanceof Promise)) return settle(stream, now)
      if (waiting++ === 0) for (const one of both) one.pause()
      tail = now.then((delivered) => settle(stream, delivered)).then(wake, wake)
    },
    isIdle: () => waiting === 0,
    lastMs: () => last,
    idle: () => tail,
  }
}

function closeOf(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    stream.once('close', resolve)
    // An error of a pipe is its end: what was read before it counts.
    stream.on('error', () => {})
  })
}

/** True when the pipes closed after all, false when their holder is given up. Time in which a slow reader holds us does not count. */
async function abandoned(lane: Lane, closed: Promise<true>): Promise<boolean> {
  let chatter = performance.now() + CHATTER_MS
  for (;;) {
    const before = performance.now()
    const wait = Math.max(10, lane.lastMs() + SILENCE_MS - before)
    if (await within(closed, wait)) return true
    const now = performance.now()
    if (!lane.isIdle()) chatter += now - before
    else if (now - lane.lastMs() >= SILENCE_MS || now > chatter) return false
  }
}

async function within(promise: Promise<true>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
