import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { absent, type Digest, digestOf, EMPTY, fresh, tree } from './blobs.ts'
import { conformance, type Peer } from './peer.ts'

const HEX = 'a'.repeat(64)
const file = (digest: Digest, path = 'out') => ({ path, digest })

conformance('ActionCache', (peer) => {
  const get = (more: object) => peer.call('ActionCache/GetActionResult', more)
  const update = (more: object) => peer.call('ActionCache/UpdateActionResult', more)
  const kept = async (actionResult: object, more: object = {}) => {
    const actionDigest = absent()
    expect(await update({ actionDigest, actionResult, ...more })).toMatchObject({ code: 'OK' })
    return actionDigest
  }

  test.each<[string, object, string]>([
    ['of nothing', { actionDigest: absent() }, 'NOT_FOUND'],
    ['without a digest', {}, 'INVALID_ARGUMENT'],
    ['with a hash in upper case', { actionDigest: { hash: HEX.toUpperCase(), sizeBytes: 1 } }, 'INVALID_ARGUMENT'],
    ['with a hash that is too short', { actionDigest: { hash: 'abc', sizeBytes: 1 } }, 'INVALID_ARGUMENT'],
    ['with a hash of another alphabet', { actionDigest: { hash: 'g'.repeat(64), sizeBytes: 1 } }, 'INVALID_ARGUMENT'],
    ['with a negative size', { actionDigest: { hash: HEX, sizeBytes: -2 } }, 'INVALID_ARGUMENT'],
    ['by BLAKE3', { actionDigest: absent(), digestFunction: 'BLAKE3' }, 'INVALID_ARGUMENT'],
    [
      'of an instance with a reserved segment',
      { actionDigest: absent(), instanceName: 'a/blobs/b' },
      'INVALID_ARGUMENT',
    ],
  ])('a look-up %s', async (_, request, code) => {
    expect(await get(request)).toMatchObject({ code, answers: [] })
  })

  test('an answer has all that was put, and the action need not be there', async () => {
    const actionResult = {
      exitCode: 42,
      outputFiles: [
        {
          ...file(EMPTY),
          isExecutable: true,
          nodeProperties: { mtime: { seconds: 5, nanos: 6 }, unixMode: { value: 420 } },
        },
      ],
      outputSymlinks: [
        { path: 'link', target: '../elsewhere', nodeProperties: { properties: [{ name: 'a', value: 'b' }] } },
      ],
      outputFileSymlinks: [{ path: 'old', target: '/absolute' }],
      executionMetadata: {
        worker: 'a worker',
        queuedTimestamp: { seconds: 1, nanos: 1 },
        executionStartTimestamp: { seconds: 2, nanos: 2 },
        executionCompletedTimestamp: { seconds: 3, nanos: 3 },
        auxiliaryMetadata: [{ type_url: 'type.googleapis.com/any.Theirs', value: Buffer.from('theirs') }],
      },
    }
    const actionDigest = await kept(actionResult)
    expect((await get({ actionDigest })).answer).toMatchObject(actionResult)
    expect((await get({ actionDigest, digestFunction: 'SHA256' })).answer).toMatchObject(actionResult)
  })

  test('another size under the same hash is another action', async () => {
    const actionDigest = await kept({ exitCode: 1 })
    expect(await get({ actionDigest: { ...actionDigest, sizeBytes: 7 } })).toMatchObject({ code: 'NOT_FOUND' })
  })

  test('instances are apart, and a later result takes the place of an earlier one', async () => {
    const instanceName = `team/${randomUUID()}`
    const actionDigest = await kept({ exitCode: 1 }, { instanceName })
    expect(await get({ actionDigest })).toMatchObject({ code: 'NOT_FOUND' })
    expect(await update({ actionDigest, instanceName, actionResult: { exitCode: 2 } })).toMatchObject({ code: 'OK' })
    expect(await get({ actionDigest, instanceName })).toMatchObject({ code: 'OK', answer: { exitCode: 2 } })
  })

  test.each<[string, object, readonly string[]]>([
    ['nothing', {}, ['', '', '', '']],
    ['stdout', { inlineStdout: true }, ['out', '', '', '']],
    ['stderr', { inlineStderr: true }, ['', 'err', '', '']],
    ['a file', { inlineOutputFiles: ['b', 'no such file'] }, ['', '', '', 'two']],
    ['all', { inlineStdout: true, inlineStderr: true, inlineOutputFiles: ['a', 'b'] }, ['out', 'err', 'one', 'two']],
  ])('with %s asked for within it, a result has that, and digests', async (_, wanted, contents) => {
    const digests = await Promise.all(['out', 'err', 'one', 'two'].map((text) => peer.keep(Buffer.from(text))))
    const [stdoutDigest, stderrDigest, one, two] = digests as [Digest, Digest, Digest, Digest]
    const outputFiles = [file(one, 'a'), file(two, 'b')]
    const actionDigest = await kept({ stdoutDigest, stderrDigest, outputFiles })
    const { answer } = await get({ actionDigest, ...wanted })
    const files = answer.outputFiles as { digest: Digest; contents: Buffer }[]
    expect([answer.stdoutRaw, answer.stderrRaw, ...files.map((one) => one.contents)].map(String)).toEqual(contents)
    expect([answer.stdoutDigest, answer.stderrDigest, ...files.map(({ digest }) => digest)]).toEqual(digests)
  })

  test('an answer fits into a message, whatever was asked for within it', async () => {
    const outputFiles = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => file(await peer.keep(fresh(900_000)), `f${i}`)),
    )
    const actionDigest = await kept({ outputFiles })
    const { code, answer } = await get({ actionDigest, inlineOutputFiles: outputFiles.map(({ path }) => path) })
    const inlined = (answer.outputFiles as { contents: Buffer }[]).filter(({ contents }) => contents.length > 0)
    expect([code, inlined.length]).toEqual(['OK', 4])
  })

  test('content within an upload becomes blobs', async () => {
    const [out, content] = [fresh(50), fresh(60)]
    const actionDigest = await kept({
      stdoutRaw: out,
      outputFiles: [{ ...file(digestOf(content)), contents: content }],
    })
    const { answer } = await get({ actionDigest })
    expect(answer).toMatchObject({ stdoutDigest: digestOf(out), outputFiles: [{ digest: digestOf(content) }] })
    expect([answer.stdoutRaw.length, answer.outputFiles[0].contents.length]).toEqual([0, 0])
    const { answer: missing } = await peer.call('ContentAddressableStorage/FindMissingBlobs', {
      blobDigests: [digestOf(out), digestOf(content)],
    })
    expect(missing.missingBlobDigests).toEqual([])
  })

  const gone = absent()
  test.each<[string, (peer: Peer) => Promise<object> | object]>([
    ['an output file', () => ({ outputFiles: [file(gone)] })],
    ['stdout', () => ({ stdoutDigest: gone })],
    ['stderr', () => ({ stderrDigest: gone })],
    ['a tree', () => ({ outputDirectories: [{ path: 'd', treeDigest: gone }] })],
    ['a root directory', () => ({ outputDirectories: [{ path: 'd', rootDirectoryDigest: gone }] })],
    [
      'a file of a tree',
      async () => ({ outputDirectories: [{ path: 'd', treeDigest: await peer.keep(tree([EMPTY, gone])) }] }),
    ],
  ])('an upload that names %s that is not there is refused, by name', async (_, result) => {
    const actionDigest = absent()
    const answer = await update({ actionDigest, actionResult: await result(peer) })
    expect(answer).toMatchObject({
      code: 'FAILED_PRECONDITION',
      violations: [`MISSING blobs/${gone.hash}/${gone.sizeBytes}`],
    })
    expect(await get({ actionDigest })).toMatchObject({ code: 'NOT_FOUND' })
  })

  test('an upload of which very much is missing is refused in a trailer that a client takes', async () => {
    const outputFiles = Array.from({ length: 2_000 }, (_, i) => file(absent(), `f${i}`))
    const answer = await update({ actionDigest: absent(), actionResult: { outputFiles } })
    expect(answer.code).toBe('FAILED_PRECONDITION')
    expect(answer.violations.length).toBeGreaterThan(10)
  })

  test.each<[string, object]>([
    ['no result', {}],
    ['no action digest', { actionDigest: undefined, actionResult: {} }],
    ['an action digest that is none', { actionDigest: { hash: HEX.toUpperCase(), sizeBytes: 1 }, actionResult: {} }],
    ['another digest function', { digestFunction: 'SHA1', actionResult: {} }],
    ['a digest that is none', { actionResult: { outputFiles: [file({ hash: 'x', sizeBytes: 1 })] } }],
    ['an absolute path', { actionResult: { outputFiles: [file(EMPTY, '/etc/passwd')] } }],
    ['a file without a name', { actionResult: { outputFiles: [file(EMPTY, '')] } }],
    ['content of another digest', { actionResult: { stdoutRaw: Buffer.from('x'), stdoutDigest: gone } }],
  ])('an upload with %s is INVALID_ARGUMENT', async (_, request) => {
    expect(await update({ actionDigest: absent(), ...request })).toMatchObject({
      code: 'INVALID_ARGUMENT',
      answers: [],
    })
  })

  test('results are there after the server was ended and started again', async () => {
    const actionDigest = await kept({ outputFiles: [file(await peer.keep(fresh(3_000)))], exitCode: 9 })
    await peer.restart()
    expect(await get({ actionDigest })).toMatchObject({ code: 'OK', answer: { exitCode: 9 } })
  })
})
