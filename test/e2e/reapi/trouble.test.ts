import { appendFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { absent, type Digest, fresh, readName, tree, writeName, writeRequests } from './blobs.ts'
import type { Answer } from './client.ts'
import { conformance, type Peer } from './peer.ts'

/** The file of the cache folder that a large blob lies in. */
function fileOf(peer: Peer, { hash }: Digest): string {
  const folder = path.join(peer.cacheDir, 'blobs', hash.slice(0, 2))
  const names = readdirSync(folder).filter((name) => name.startsWith(hash))
  expect(names.length).toBe(1)
  return path.join(folder, names[0] as string)
}

conformance('trouble', (peer) => {
  const get = (actionDigest: Digest) => peer.call('ActionCache/GetActionResult', { actionDigest })
  const read = (digest: Digest) => peer.call('ByteStream/Read', { resourceName: readName(digest) })
  const update = (actionDigest: Digest, actionResult: object) =>
    peer.call('ActionCache/UpdateActionResult', { actionDigest, actionResult })

  /** Of a result with a blob of its own, directly and in a tree: the digests of both, and the file that the blob lies in. */
  async function kept() {
    const blob = fresh(3_000_000)
    const digest = await peer.keep(blob)
    const results = [absent(), absent()]
    const treeDigest = await peer.keep(tree([digest]))
    await update(results[0] as Digest, { outputFiles: [{ path: 'f', digest }] })
    await update(results[1] as Digest, { outputDirectories: [{ path: 'd', treeDigest }] })
    const codes = async () => (await Promise.all(results.map(get))).map(({ code }) => code)
    expect(await codes()).toEqual(['OK', 'OK'])
    return { blob, digest, codes, file: fileOf(peer, digest) }
  }

  const given = ({ answers }: Answer) => Buffer.concat(answers.map(({ data }) => data as Buffer))

  test.each<[string, (file: string) => void]>([
    ['removed', (file) => rmSync(file)],
    ['emptied', (file) => writeFileSync(file, '')],
    ['cut off', (file) => writeFileSync(file, readFileSync(file).subarray(0, -100))],
    ['changed in its middle', (file) => writeFileSync(file, flipped(readFileSync(file)))],
  ])('a blob whose file is %s is not found, nor are its results, until it is put again', async (_, harm) => {
    const { blob, digest, codes, file } = await kept()
    harm(file)
    const answer = await read(digest)
    expect(answer.code).toBe('NOT_FOUND')
    // What was sent before the damage was met is a part of the blob.
    expect(given(answer).equals(blob.subarray(0, given(answer).length))).toBe(true)
    // What was found lately is known for a moment.
    await expect.poll(codes).toEqual(['NOT_FOUND', 'NOT_FOUND'])
    const found = await peer.call('ContentAddressableStorage/FindMissingBlobs', { blobDigests: [digest] })
    expect(found.answer.missingBlobDigests).toEqual([digest])
    await peer.keep(blob)
    expect(await codes()).toEqual(['OK', 'OK'])
  })

  test('a blob to whose file something was added is given as it was', async () => {
    const { blob, digest, file } = await kept()
    appendFileSync(file, 'more')
    expect(given(await read(digest)).equals(blob)).toBe(true)
  })

  test('a call whose time is over is told so, and the server goes on', async () => {
    const blob = fresh(200_000)
    async function* slow() {
      yield [...writeRequests(writeName(absent(200_000)), blob)][0] as object
      await new Promise(() => undefined)
    }
    expect((await peer.send('ByteStream/Write', slow(), { deadlineMs: 150 })).code).toBe('DEADLINE_EXCEEDED')
    expect((await get(absent())).code).toBe('NOT_FOUND')
  })

  test('a download that is given up ends, and the server goes on', async () => {
    const digest = await peer.keep(fresh(20_000_000))
    const request = { resourceName: readName(digest) }
    const { code, answers } = await peer.call('ByteStream/Read', request, { heard: (_, call) => call.cancel() })
    expect([code, answers.length < 20]).toEqual(['CANCELLED', true])
    expect((await read(digest)).code).toBe('OK')
  })

  test.each([
    'build.bazel.remote.execution.v2.Execution/Execute',
    'build.bazel.remote.execution.v2.ActionCache/NoSuchMethod',
    'no.such.Service/Method',
  ])('%s is UNIMPLEMENTED', async (method) => {
    expect((await peer.call(method, {})).code).toBe('UNIMPLEMENTED')
  })

  test('a message that is none is no answer, and the server goes on', async () => {
    const raw = await peer
      .as('write')
      .bytes('/build.bazel.remote.execution.v2.ActionCache/GetActionResult', Buffer.from([0xff, 0xff, 0xff]))
    expect(['INTERNAL', 'INVALID_ARGUMENT']).toContain(raw.code)
    expect((await get(absent())).code).toBe('NOT_FOUND')
  })

  test('a message larger than any is RESOURCE_EXHAUSTED', async () => {
    const data = fresh(6 << 20)
    const { code } = await peer.call('ContentAddressableStorage/BatchUpdateBlobs', {
      requests: [{ digest: absent(), data }],
    })
    expect(code).toBe('RESOURCE_EXHAUSTED')
  })

  test('it says that it is well', async () => {
    expect((await peer.as('none').call('Health/Check', {})).answer).toMatchObject({ status: 'SERVING' })
  })
})

function flipped(bytes: Buffer): Buffer {
  const at = Math.floor(bytes.length / 2)
  bytes[at] = (bytes[at] as number) ^ 1
  return bytes
}
