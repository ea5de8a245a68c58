import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { DEFAULT_SCOPE } from '../../store/contracts.ts'
import { memoryStore } from '../../store/memory/memory-store.ts'
import { actionResult, commandDurationMs, completedMs, type ResultStream, runDetail } from '../action-result.ts'
import type { OutputSink } from '../run-outcome.ts'
import { openReplay } from './replay.ts'
import { type StreamName, StreamOrder } from './stream-order.ts'

interface Piece {
  readonly stream: StreamName
  readonly bytes: Uint8Array
}

const NO_OUTPUTS = { outputFiles: [], outputDirectories: [], outputSymlinks: [] }

function resultOf(stdout: ResultStream, stderr: ResultStream, streamChunks: number[], colourForced = false) {
  const detail = { streamChunks, colourForced, durationMs: 1234 }
  return actionResult({ outputs: NO_OUTPUTS, exitCode: 0, stdout, stderr, startedMs: 1_700_000_000_250, detail })
}

/** All that is written, neighbours of one stream joined. */
function recorder(): { sink: OutputSink; heard: () => string[] } {
  const heard: { stream: StreamName; text: string }[] = []
  const hear = (stream: StreamName) => async (chunk: Uint8Array) => {
    await Promise.resolve()
    const last = heard.at(-1)
    const text = Buffer.from(chunk).toString('latin1')
    if (last?.stream === stream) last.text += text
    else heard.push({ stream, text })
  }
  return {
    sink: { stdout: hear('stdout'), stderr: hear('stderr') },
    heard: () => heard.map(({ stream, text }) => `${stream}:${text}`),
  }
}

function joined(pieces: readonly Piece[], name: StreamName): Buffer {
  return Buffer.concat(pieces.filter(({ stream }) => stream === name).map(({ bytes }) => bytes))
}

test('whatever was written in whatever order comes back so', async () => {
  const piece = fc.record({
    stream: fc.constantFrom<StreamName>('stdout', 'stderr'),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 30 }), fc.boolean(), async (pieces, asBlobs) => {
      const { blobs } = memoryStore()
      const order = new StreamOrder()
      const asWritten = recorder()
      for (const { stream, bytes } of pieces) {
        order.add(stream, bytes.byteLength)
        await asWritten.sink[stream](bytes)
      }
      const streamOf = async (name: StreamName): Promise<ResultStream> => {
        const bytes = joined(pieces, name)
        if (!asBlobs) return { raw: bytes }
        await blobs.write(DEFAULT_SCOPE, digestOf(bytes), bytes)
        return { digest: digestOf(bytes) }
      }
      const result = resultOf(await streamOf('stdout'), await streamOf('stderr'), order.lengths())
      const replay = await openReplay(result, blobs, DEFAULT_SCOPE)
      const replayed = recorder()
      await replay?.writeTo(replayed.sink)
      expect(replayed.heard()).toEqual(asWritten.heard())
    }),
  )
})

describe('a result', () => {
  const { blobs } = memoryStore()

  test('of another client, which tells no order: stdout whole, then stderr', async () => {
    const result = {
      ...resultOf({ raw: Buffer.from('out') }, { raw: Buffer.from('err') }, []),
      executionMetadata: undefined,
    }
    const heard = recorder()
    await (await openReplay(result, blobs, DEFAULT_SCOPE))?.writeTo(heard.sink)
    expect(heard.heard()).toEqual(['stdout:out', 'stderr:err'])
  })

  test('whose order tells of more than there is, or of less, loses nothing', async () => {
    const result = resultOf({ raw: Buffer.from('out') }, { raw: Buffer.from('err') }, [1, -99, 1])
    const heard = recorder()
    await (await openReplay(result, blobs, DEFAULT_SCOPE))?.writeTo(heard.sink)
    expect(heard.heard()).toEqual(['stdout:o', 'stderr:err', 'stdout:ut'])
  })

  test('whose output is gone cannot be replayed', async () => {
    const gone = { digest: { hash: 'a'.repeat(64), sizeBytes: 5 } }
    const large = { digest: { hash: 'a'.repeat(64), sizeBytes: 5 << 20 } }
    expect(await openReplay(resultOf(gone, { raw: Buffer.alloc(0) }, []), blobs, DEFAULT_SCOPE)).toBeUndefined()
    expect(await openReplay(resultOf({ raw: Buffer.alloc(0) }, large, []), blobs, DEFAULT_SCOPE)).toBeUndefined()
  })

  test('with colours because of a terminal loses them when asked, across its chunks; with others never', async () => {
    const raw = Buffer.from('\x1b[31mred\x1b[0m!')
    const plain = recorder()
    const forced = await openReplay(resultOf({ raw }, { raw: Buffer.alloc(0) }, [2, 4, 7], true), blobs, DEFAULT_SCOPE)
    await forced?.writeTo(plain.sink, { stripForcedColours: true })
    expect(plain.heard()).toEqual(['stdout:red!'])
    const kept = recorder()
    const own = await openReplay(resultOf({ raw }, { raw: Buffer.alloc(0) }, [13], false), blobs, DEFAULT_SCOPE)
    await own?.writeTo(kept.sink, { stripForcedColours: true })
    expect(kept.heard()).toEqual([`stdout:${raw.toString('latin1')}`])
  })

  test('tells how long the command took and when it ended', () => {
    const result = resultOf({ raw: Buffer.alloc(0) }, { raw: Buffer.alloc(0) }, [])
    expect(commandDurationMs(result)).toBe(1234)
    expect(completedMs(result)).toBeCloseTo(1_700_000_001_484, 3)
    const { executionMetadata } = result
    const foreign = {
      ...result,
      executionMetadata: executionMetadata && { ...executionMetadata, auxiliaryMetadata: [] },
    }
    expect(runDetail(foreign)).toBeUndefined()
    expect(commandDurationMs(foreign)).toBeCloseTo(1234, 3)
  })
})

test('a replay is written no faster than it is read, and ends when it is aborted', async () => {
  const raw = Buffer.from('abc')
  const replay = await openReplay(resultOf({ raw }, { raw: Buffer.alloc(0) }, [1]), memoryStore().blobs, DEFAULT_SCOPE)
  const abort = new AbortController()
  const sink: OutputSink = {
    async stdout() {
      abort.abort(new Error('enough'))
    },
    stderr() {},
  }
  await expect(replay?.writeTo(sink, { signal: abort.signal })).resolves.toBeUndefined()
  await expect(replay?.writeTo(sink, { signal: abort.signal })).rejects.toThrow('enough')
})
