import { writeSync } from 'node:fs'
import { systemCode } from '../errors.ts'
import type { Terminal } from './terminal.ts'

/** Where a command writes for people and programs. Everything is written when the call returns. */
export interface Output {
  readonly stdout: Stream
  /** recue's own voice while a command runs: stdout belongs to the child. */
  readonly stderr: Stream
  /** To stdout, indented, with a line end. */
  json(value: unknown): void
}

export interface Stream {
  readonly terminal: Terminal
  /** The text and a line end. */
  line(text?: string): void
  write(bytes: Uint8Array | string): void
}

export function openOutput(terminals: { stdout: Terminal; stderr: Terminal }): Output {
  const stdout = openStream(1, terminals.stdout)
  return {
    stdout,
    stderr: openStream(2, terminals.stderr),
    json: (value) => stdout.line(JSON.stringify(value, undefined, 2)),
  }
}

function openStream(fd: number, terminal: Terminal): Stream {
  const write = (bytes: Uint8Array | string) => void writeAll(fd, bytes)
  return { terminal, write, line: (text = '') => write(`${text}\n`) }
}

/**
 * Writes all bytes before it returns, whatever stands behind the descriptor. `process.stdout.write` followed by
 * `process.exit` loses what a slow pipe has not taken yet, in both runtimes. A reader that went away is no error: there
 * is nobody left to tell, and the answer is false.
 */
export function writeAll(fd: number, bytes: Uint8Array | string): boolean {
  const all = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
  let written = 0
  while (written < all.byteLength) {
    try {
      written += writeSync(fd, all, written)
    } catch (error) {
      if (isGone(error)) return false
      if (systemCode(error) !== 'EAGAIN') throw error
      pauseMs(1)
    }
  }
  return true
}

/**
 * As {@link writeAll}, but lets signals and the child be heard while a slow reader is waited for, and throws the system's
 * error when the reader has gone away: whoever passes on the output of a command must close its stream then.
 */
export async function writeAllWaiting(fd: number, bytes: Uint8Array): Promise<void> {
  let written = 0
  while (written < bytes.byteLength) {
    try {
      written += writeSync(fd, bytes, written)
    } catch (error) {
      if (systemCode(error) !== 'EAGAIN') throw error
      await new Promise((wake) => setTimeout(wake, 1))
    }
  }
}

/** Nobody reads there any more: a closed pipe, a terminal that was hung up, a descriptor that was closed. */
export function isGone(error: unknown): boolean {
  const code = systemCode(error)
  return code === 'EPIPE' || code === 'EIO' || code === 'EBADF'
}

/** Some other program made the pipe non-blocking: there is no event to wait for in a synchronous write. */
function pauseMs(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
