import { expect, test } from 'vitest'
import { absent, digestOf, EMPTY, fresh, readName, writeName, writeRequests } from './blobs.ts'
import { conformance, type Token } from './peer.ts'

const actionDigest = absent()
const blob = fresh(100)
/** Each method, with what it answers to who may. */
const READING: readonly [string, object, string][] = [
  ['ActionCache/GetActionResult', { actionDigest }, 'NOT_FOUND'],
  ['ContentAddressableStorage/FindMissingBlobs', {}, 'OK'],
  ['ContentAddressableStorage/BatchReadBlobs', {}, 'OK'],
  ['ContentAddressableStorage/GetTree', { rootDigest: absent() }, 'NOT_FOUND'],
  ['ByteStream/Read', { resourceName: readName(EMPTY) }, 'OK'],
  ['ByteStream/QueryWriteStatus', { resourceName: writeName(EMPTY) }, 'OK'],
  ['Fetch/FetchBlob', { uris: ['urn:x'] }, 'NOT_FOUND'],
  ['Fetch/FetchDirectory', { uris: ['urn:x'] }, 'NOT_FOUND'],
]
const WRITING: readonly [string, object, string][] = [
  ['ActionCache/UpdateActionResult', { actionDigest, actionResult: { exitCode: 1 } }, 'OK'],
  ['ContentAddressableStorage/BatchUpdateBlobs', { requests: [{ digest: digestOf(blob), data: blob }] }, 'OK'],
  ['ContentAddressableStorage/SpliceBlob', { blobDigest: EMPTY, chunkDigests: [EMPTY] }, 'OK'],
  ['Push/PushBlob', { uris: ['urn:y'], blobDigest: EMPTY }, 'OK'],
  ['Push/PushDirectory', { uris: ['urn:y'], rootDirectoryDigest: EMPTY }, 'OK'],
]
const WITHOUT: readonly Token[] = ['none', 'unknown']

conformance('tokens', (peer) => {
  test.each([...READING, ...WRITING])('%s asks for one', async (method, request) => {
    for (const token of WITHOUT)
      expect(await peer.as(token).call(method, request)).toMatchObject({ code: 'UNAUTHENTICATED', answers: [] })
  })

  test.each(READING)('%s is content with one that reads', async (method, request, code) => {
    for (const token of ['read', 'write'] as const)
      expect([token, (await peer.as(token).call(method, request)).code]).toEqual([token, code])
  })

  test.each(WRITING)('%s asks for one that writes', async (method, request, code) => {
    expect(await peer.as('read').call(method, request)).toMatchObject({ code: 'PERMISSION_DENIED', answers: [] })
    expect((await peer.as('write').call(method, request)).code).toBe(code)
  })

  test('an upload is refused before it is sent', async () => {
    const large = fresh(3_000_000)
    for (const [token, code] of [
      ...WITHOUT.map((one) => [one, 'UNAUTHENTICATED'] as const),
      ['read', 'PERMISSION_DENIED'] as const,
    ]) {
      const requests = writeRequests(writeName(digestOf(large)), large)
      expect([token, (await peer.as(token).send('ByteStream/Write', requests)).code]).toEqual([token, code])
    }
    const { answer } = await peer.call('ContentAddressableStorage/FindMissingBlobs', { blobDigests: [digestOf(large)] })
    expect(answer.missingBlobDigests.length).toBe(1)
  })

  test('a token is a password of basic authentication, too', async () => {
    const { WRITE_TOKEN } = await import('../served.ts')
    const authorization = `Basic ${Buffer.from(`any:${WRITE_TOKEN}`).toString('base64')}`
    const answer = await peer
      .as('none')
      .call('ActionCache/UpdateActionResult', WRITING[0]?.[1] ?? {}, { metadata: { authorization } })
    expect(answer.code).toBe('OK')
  })
})

conformance('Capabilities', (peer) => {
  test.each<Token>(['none', 'unknown', 'read', 'write'])('are told to whoever asks: token %s', async (token) => {
    const { code, answer } = await peer.as(token).call('Capabilities/GetCapabilities', { instanceName: 'any/one' })
    const { actionCacheUpdateCapabilities } = answer.cacheCapabilities
    expect([code, actionCacheUpdateCapabilities]).toEqual(['OK', { updateEnabled: true }])
  })

  test('say what is served', async () => {
    const { answer } = await peer.call('Capabilities/GetCapabilities', {})
    expect(answer.cacheCapabilities).toMatchObject({
      digestFunctions: ['SHA256'],
      maxBatchTotalSizeBytes: 4_000_000,
      maxCasBlobSizeBytes: 0,
      symlinkAbsolutePathStrategy: 'ALLOWED',
      supportedCompressors: ['ZSTD'],
      supportedBatchUpdateCompressors: ['ZSTD'],
      splitBlobSupport: true,
      spliceBlobSupport: true,
    })
    const { avgChunkSizeBytes, seed } = answer.cacheCapabilities.fastCdc_2020Params
    expect([avgChunkSizeBytes >= 1 << 10 && avgChunkSizeBytes <= 1 << 20, seed]).toEqual([true, 0])
    expect([answer.lowApiVersion.major, answer.lowApiVersion.minor, answer.highApiVersion.major]).toEqual([2, 0, 2])
    expect(answer.deprecatedApiVersion ?? null).toBeNull()
  })
})
