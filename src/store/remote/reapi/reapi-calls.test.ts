import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Digest } from '../../../digest/digest.ts'
import { digestOf } from '../../../digest/sha256.ts'
import { temporaryServer } from '../../../server/temporary-server.fixture.ts'
import { action, result } from '../../action-store.contract.ts'
import { content } from '../../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../../contracts.ts'
import { readWhole } from '../../read-whole.ts'
import { PATIENT } from '../fault-servers.fixture.ts'
import { openRemote } from '../open-remote.ts'
import type { RemoteEnd } from '../remote-end.ts'

let used: AsyncDisposableStack
let calls: string[]
let address: string
let end: RemoteEnd
beforeEach(async () => {
  used = new AsyncDisposableStack()
  calls = []
  const onRequest = (entry: { readonly path: string }) => void calls.push(entry.path.split('/').at(-1) ?? '')
  const server = used.use(await temporaryServer({ onRequest }))
  address = server.grpcUrl
  end = used.use(await openRemote(address, PATIENT))
})
afterEach(() => used.disposeAsync())

/** Since it was asked last; the server notes a call when it is over, which the client may know first. */
async function callsOf(count: number): Promise<string[]> {
  await expect.poll(() => calls.length).toBeGreaterThanOrEqual(count)
  return calls.splice(0).sort()
}

const many = Array.from({ length: 1000 }, (_, i) => content(10_000, i))

async function keepMany(): Promise<Digest[]> {
  const digests = many.map(digestOf)
  await Promise.all(many.map((bytes, i) => end.blobs.write(scope, digests[i] as Digest, bytes)))
  return digests
}

describe('small blobs', () => {
  test('that are kept at the same time share calls, as few as messages allow; those that are read, one for each MiB', async () => {
    const digests = await keepMany()
    expect(await callsOf(4)).toEqual(['BatchUpdateBlobs', 'BatchUpdateBlobs', 'BatchUpdateBlobs', 'GetCapabilities'])
    const found = await Promise.all(digests.map((digest) => readWhole(end.blobs, scope, digest)))
    expect(found.every((bytes, i) => many[i]?.equals(bytes as Uint8Array))).toBe(true)
    expect(await callsOf(10)).toEqual(Array(10).fill('BatchReadBlobs'))
    let right = 0
    for await (const { index, bytes } of end.blobs.readBatch(scope, digests))
      if (bytes !== undefined && many[index]?.equals(bytes)) right++
    expect(right).toBe(1000)
    expect(await callsOf(10)).toEqual(Array(10).fill('BatchReadBlobs'))
  })

  test('are asked for at once, together with what the server can', async () => {
    const digests = (await keepMany()).slice(0, 3)
    await callsOf(4)
    const other = used.use(await openRemote(address, PATIENT))
    const found: unknown[] = []
    for await (const { index, bytes } of other.blobs.readBatch(scope, digests))
      found.push(many[index]?.equals(bytes as Uint8Array))
    expect(found).toEqual([true, true, true])
    expect(await callsOf(2)).toEqual(['BatchReadBlobs', 'GetCapabilities'])
  })

  test('of two instances do not', async () => {
    const bytes = content(100, 1)
    const digest = digestOf(bytes)
    await Promise.all(['red', 'blue', 'red'].map((instance) => end.blobs.write({ instance }, digest, bytes)))
    expect((await callsOf(4)).filter((method) => method === 'BatchUpdateBlobs')).toHaveLength(2)
  })

  test('are read for those who still want them when another gives up', async () => {
    const digests = await keepMany()
    const control = new AbortController()
    const [left, stayed] = [digests[0], digests[1]] as [Digest, Digest]
    const reading = [
      end.blobs.read(scope, left, { signal: control.signal }),
      readWhole(end.blobs, scope, stayed),
    ] as const
    control.abort(new Error('enough'))
    await expect(reading[0]).rejects.toThrow('enough')
    expect(many[1]?.equals((await reading[1]) as Uint8Array)).toBe(true)
  })

  test('go one by one where each fills a call', async () => {
    const blobs = Array.from({ length: 5 }, () => randomBytes(1 << 20))
    await Promise.all(blobs.map((bytes) => end.blobs.write(scope, digestOf(bytes), bytes)))
    expect((await callsOf(3)).filter((method) => method === 'BatchUpdateBlobs')).toHaveLength(2)
  })
})

test('which blobs are missing is asked in as many calls as there are ten thousands', async () => {
  const digests = Array.from({ length: 20_001 }, (_, i) => digestOf(Buffer.from(`blob ${i}`)))
  expect(await end.blobs.missing(scope, digests)).toHaveLength(20_001)
  expect(await callsOf(4)).toEqual(['FindMissingBlobs', 'FindMissingBlobs', 'FindMissingBlobs', 'GetCapabilities'])
})

describe('a hit', () => {
  const file = content(5_000, 1)
  const printed = Buffer.from('it was printed')
  const complaint = Buffer.from('it complained')

  async function hit(): Promise<RemoteEnd> {
    await end.blobs.write(scope, digestOf(file), file)
    await end.actions.put(scope, action('a'), { ...result([digestOf(file)]), stdoutRaw: printed, stderrRaw: complaint })
    // Capabilities, the write, the look before the put, and the put.
    await callsOf(4)
    return used.use(await openRemote(address, PATIENT))
  }

  test('with small outputs is one round trip, what is in it included', async () => {
    const other = await hit()
    const lookup = await other.actions.get(scope, action('a'))
    if (lookup.kind !== 'hit') throw new Error('no hit')
    const { result: found, encoded, resultDigest } = lookup
    expect([found.stdoutRaw.length, found.stderrRaw.length, found.outputFiles[0]?.contents.length]).toEqual([0, 0, 0])
    expect(resultDigest).toEqual(digestOf(encoded))
    const kept = [file, printed, complaint]
    const blobs = kept.map(digestOf)
    expect(found.stdoutDigest).toEqual(blobs[1])
    for await (const { index, bytes } of other.blobs.readBatch(scope, blobs))
      expect(kept[index]?.equals(bytes as Uint8Array)).toBe(true)
    // Both at the same time.
    expect(await callsOf(2)).toEqual(['GetActionResult', 'GetCapabilities'])
  })

  test('is one call from then on', async () => {
    const other = await hit()
    await other.actions.get(scope, action('a'))
    await callsOf(2)
    expect(await other.actions.get(scope, action('a'))).toMatchObject({ kind: 'hit' })
    expect(await callsOf(1)).toEqual(['GetActionResult'])
  })
})

test('what is there already is not sent to its end', async () => {
  const bytes = content(20_000_000, 1)
  const digest = digestOf(bytes)
  await end.blobs.write(scope, digest, bytes)
  let given = 0
  async function* counted(): AsyncGenerator<Uint8Array> {
    for (; given < bytes.length; given += 100_000) {
      yield bytes.subarray(given, given + 100_000)
      await new Promise(setImmediate)
    }
  }
  await end.blobs.write(scope, digest, counted())
  expect(given).toBeLessThan(bytes.length)
})

test('a small stream that is not its blob is refused before anybody is asked', async () => {
  async function* other(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('other')
  }
  const writing = end.blobs.write(scope, digestOf(content(5, 1)), other())
  await expect(writing).rejects.toMatchObject({ code: 'store.corrupt' })
  // The one call, so nothing was asked before it.
  await end.blobs.missing(scope, [digestOf(content(5, 1))])
  expect(await callsOf(2)).toEqual(['FindMissingBlobs', 'GetCapabilities'])
})

test('an end that is left while it connects says so to those who wait, and to nobody else', async () => {
  for (let turns = 0; turns < 10; turns++) {
    const other = await openRemote(address, PATIENT)
    const asking = other.blobs.missing(scope, [digestOf(content(5, 1))])
    // What is not caught anywhere ends the run of the tests.
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
    await other[Symbol.asyncDispose]()
    await Promise.allSettled([asking])
  }
})
