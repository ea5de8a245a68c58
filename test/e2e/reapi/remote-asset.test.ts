import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { absent, directory, EMPTY, fresh } from './blobs.ts'
import { conformance } from './peer.ts'

conformance('Remote Asset', (peer) => {
  const fetchBlob = (request: object) => peer.call('Fetch/FetchBlob', request)
  const uri = () => `https://origin.test/${randomUUID()}`

  test('a blob is pushed, and found by any of its URIs', async () => {
    const [one, two] = [uri(), uri()]
    const blobDigest = await peer.keep(fresh(100))
    expect((await peer.call('Push/PushBlob', { uris: [one, two], blobDigest })).code).toBe('OK')
    const { code, answer } = await fetchBlob({ uris: [uri(), two] })
    expect([code, answer]).toMatchObject([
      'OK',
      { status: { code: 0 }, uri: two, blobDigest, digestFunction: 'SHA256' },
    ])
  })

  test('a directory is pushed, and found as one', async () => {
    const uris = [uri()]
    const rootDirectoryDigest = await peer.keep(directory([await peer.keep(fresh(10))]))
    expect((await peer.call('Push/PushDirectory', { uris, rootDirectoryDigest })).code).toBe('OK')
    const { answer } = await peer.call('Fetch/FetchDirectory', { uris })
    expect(answer).toMatchObject({ status: { code: 0 }, uri: uris[0], rootDirectoryDigest })
    expect((await fetchBlob({ uris })).code).toBe('NOT_FOUND')
  })

  test('what nobody pushed is not found, and not downloaded', async () => {
    // A server that would ask it is this one itself.
    expect(await fetchBlob({ uris: [`${peer.url}/healthz`] })).toMatchObject({ code: 'NOT_FOUND', answers: [] })
  })

  test('a blob is found by its checksum, wherever it came from', async () => {
    const blobDigest = await peer.keep(fresh(100))
    const value = `sha256-${Buffer.from(blobDigest.hash, 'hex').toString('base64')}`
    const { answer } = await fetchBlob({ uris: [uri()], qualifiers: [{ name: 'checksum.sri', value }] })
    expect(answer).toMatchObject({ status: { code: 0 }, blobDigest })
  })

  test.each<[string, string, object, string]>([
    ['Push/PushBlob', 'of a blob that is not there', { uris: ['urn:x'], blobDigest: absent() }, 'FAILED_PRECONDITION'],
    [
      'Push/PushDirectory',
      'of a directory that is not there',
      { uris: ['urn:x'], rootDirectoryDigest: absent() },
      'FAILED_PRECONDITION',
    ],
    ['Push/PushBlob', 'without a digest', { uris: ['urn:x'] }, 'INVALID_ARGUMENT'],
    ['Push/PushBlob', 'without a URI', { blobDigest: EMPTY }, 'INVALID_ARGUMENT'],
    ['Fetch/FetchBlob', 'without a URI', {}, 'INVALID_ARGUMENT'],
    ['Fetch/FetchDirectory', 'without a URI', {}, 'INVALID_ARGUMENT'],
    [
      'Fetch/FetchBlob',
      'with a qualifier twice',
      { uris: ['urn:x'], qualifiers: [{ name: 'a' }, { name: 'a' }] },
      'INVALID_ARGUMENT',
    ],
    ['Fetch/FetchBlob', 'by BLAKE3', { uris: ['urn:x'], digestFunction: 'BLAKE3' }, 'INVALID_ARGUMENT'],
  ])('%s %s', async (method, _, request, code) => {
    expect(await peer.call(method, request)).toMatchObject({ code, answers: [] })
  })

  test('what has expired, or is older than is taken, is not found', async () => {
    const seconds = Math.floor(Date.now() / 1000)
    const [past, future] = [{ seconds: seconds - 100 }, { seconds: seconds + 100 }]
    const push = async (more: object) => {
      const uris = [uri()]
      await peer.call('Push/PushBlob', { uris, blobDigest: EMPTY, ...more })
      return uris
    }
    const code = async (request: object) => (await fetchBlob(request)).code
    expect(await code({ uris: await push({ expireAt: past }) })).toBe('NOT_FOUND')
    expect(await code({ uris: await push({ expireAt: future }) })).toBe('OK')
    expect(await code({ uris: await push({}), oldestContentAccepted: future })).toBe('NOT_FOUND')
    expect(await code({ uris: await push({}), oldestContentAccepted: past })).toBe('OK')
  })
})
