import { systemCode } from '../../errors.ts'
import type { OutputSink } from '../run-outcome.ts'
import type { StreamName } from './stream-order.ts'

/** What a write says when nobody reads any more: a closed pipe, a closed stream, a terminal that was hung up. */
const GONE = new Set(['EPIPE', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END', 'EIO', 'EBADF'])

/** The exit code of a command that wrote when nobody read any more: SIGPIPE ended it. */
export const READER_GONE_EXIT: number = 128 + 13

export interface PatientSink extends OutputSink {
  /** What else went wrong with the sink, which is the caller's to know; undefined when nothing did. */
  failure(): unknown
  /** Whether the reader of this stream has gone away. */
  isGone(stream: StreamName): boolean
}

/**
 * A sink that never rejects. A reader that has gone away (`| head`) gets no more, and that is no failure: what
 * follows from it is for whoever has the command to decide.
 */
export function patient(sink: OutputSink): PatientSink {
  const gone = new Set<StreamName>()
  let failure: unknown
  const stop = (stream: StreamName, error: unknown) => {
    gone.add(stream)
    if (!GONE.has(systemCode(error) ?? '')) failure ??= error
  }
  const write = (stream: StreamName) => (chunk: Uint8Array) => {
    if (gone.has(stream)) return undefined
    try {
      return sink[stream](chunk)?.catch((error: unknown) => stop(stream, error))
    } catch (error) {
      stop(stream, error)
      return undefined
    }
  }
  return {
    stdout: write('stdout'),
    stderr: write('stderr'),
    failure: () => failure,
    isGone: (stream) => gone.has(stream),
  }
}
