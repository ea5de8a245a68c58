import { patient } from '../../action/run/stream-sink.ts'
import type { OutputSink } from '../../action/run-outcome.ts'
import type { Colour, Paint } from '../terminal.ts'
import type { Screen } from './screen.ts'

/** A sink for one of several tasks; `end` writes what it still holds. Throws EPIPE for what nobody reads any more. */
export interface TaskOutput extends OutputSink {
  stdout(chunk: Uint8Array): void
  stderr(chunk: Uint8Array): void
  end(): void
}

const COLOURS: readonly Colour[] = ['cyan', 'magenta', 'blue', 'yellow', 'green']

/** How a task's name stands before its lines; the colour goes by its place in the plan. */
export function prefixOf(name: string, index: number, paint: Paint): string {
  return paint(COLOURS[index % COLOURS.length] as Colour, `${name}: `)
}

/** Each line as soon as it is whole, with the task's name before it. */
export function prefixedOutput(prefix: string, screen: Screen): TaskOutput {
  const rests: Record<1 | 2, Buffer> = { 1: Buffer.alloc(0), 2: Buffer.alloc(0) }
  const head = Buffer.from(prefix)
  const take = (fd: 1 | 2, chunk: Uint8Array) => {
    const text = rests[fd].length === 0 ? Buffer.from(chunk) : Buffer.concat([rests[fd], chunk])
    const end = text.lastIndexOf(0x0a)
    // A line without an end would be held for ever: past this it is shown in pieces.
    if (end === -1 && text.length < LONGEST_LINE) rests[fd] = text
    else {
      const cut = end === -1 ? text.length : end + 1
      rests[fd] = text.subarray(cut)
      if (!screen.write(fd, withPrefix(head, text.subarray(0, cut)))) throw nobodyReads()
    }
  }
  return {
    stdout: (chunk) => take(1, chunk),
    stderr: (chunk) => take(2, chunk),
    end() {
      for (const fd of [1, 2] as const) if (rests[fd].length > 0) screen.write(fd, withPrefix(head, rests[fd]))
    },
  }
}

const LONGEST_LINE = 1 << 20

/** What a write to a closed pipe throws, so that the task's own stream is closed. */
function nobodyReads(): Error {
  return Object.assign(new Error('nobody reads any more'), { code: 'EPIPE' })
}

function withPrefix(head: Buffer, lines: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < lines.length; ) {
    const end = lines.indexOf(0x0a, at)
    const next = end === -1 ? lines.length : end + 1
    parts.push(head, lines.subarray(at, next))
    at = next
  }
  if (lines.at(-1) !== 0x0a) parts.push(Buffer.from('\n'))
  return Buffer.concat(parts)
}

/** What is held at most of one task before it is shown: memory stays bounded, whatever a task prints. */
const MOST_HELD = 16 << 20

/** All that a task writes, in one piece under its name when it is done. */
export function groupedOutput(header: string, screen: Screen): TaskOutput {
  const chunks: { fd: 1 | 2; chunk: Uint8Array }[] = []
  let held = 0
  let isHeaderShown = false
  const flush = () => {
    if (chunks.length > 0 && !isHeaderShown) screen.write(2, `${header}\n`)
    isHeaderShown ||= chunks.length > 0
    const gone = new Set<1 | 2>()
    for (const { fd, chunk } of chunks.splice(0)) if (!gone.has(fd) && !screen.write(fd, chunk)) gone.add(fd)
    held = 0
    return gone
  }
  const take = (fd: 1 | 2, chunk: Uint8Array) => {
    chunks.push({ fd, chunk: chunk.slice() })
    held += chunk.byteLength
    if (held > MOST_HELD && flush().has(fd)) throw nobodyReads()
  }
  return { stdout: (chunk) => take(1, chunk), stderr: (chunk) => take(2, chunk), end: () => void flush() }
}

/** Shows what it holds when it is released. */
export interface HeldOutput extends OutputSink {
  stdout(chunk: Uint8Array): void
  stderr(chunk: Uint8Array): void
  release(): Promise<void>
}

/** Holds output back until it is known whether the command failed; of very long output the end. */
export function heldOutput(sink: OutputSink): HeldOutput {
  const chunks: { stream: 'stdout' | 'stderr'; chunk: Uint8Array }[] = []
  let held = 0
  const take = (stream: 'stdout' | 'stderr', chunk: Uint8Array) => {
    chunks.push({ stream, chunk: chunk.slice() })
    held += chunk.byteLength
    while (held > MOST_HELD && chunks.length > 1) held -= chunks.shift()?.chunk.byteLength ?? 0
  }
  return {
    stdout: (chunk) => take('stdout', chunk),
    stderr: (chunk) => take('stderr', chunk),
    async release() {
      const shown = patient(sink)
      for (const { stream, chunk } of chunks.splice(0)) await shown[stream](chunk)
    },
  }
}
