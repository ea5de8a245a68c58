import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Cache, openCache } from '../../cache.ts'
import { asActionDigest, type Digest, EMPTY_DIGEST, UNKNOWN_BYTES } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { GrpcCode } from '../../grpc/status.ts'
import { ActionResult, Tree } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { PreconditionFailure } from '../../proto/google/rpc/error_details.ts'
import { laterResult } from '../../store/action-store.contract.ts'
import { content } from '../../store/content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../../store/contracts.ts'
import { MOST_TREE_BYTES } from '../../store/named-blobs.ts'
import type { GrpcMethod } from '../grpc/service.ts'
import type { Use } from '../usage.ts'
import { actionCacheService } from './action-cache.ts'
import { call, statusOf, temporaryCache } from './unary-call.fixture.ts'

let cache: Cache
let methods: GrpcMethod[]
let faults: unknown[]

beforeEach(async () => {
  cache = await temporaryCache()
  faults = []
  methods = actionCacheService(cache, { onFault: (error) => faults.push(error) })
})
afterEach(() => cache[Symbol.asyncDispose]())

const NOTHING = ActionResult.decode(new Uint8Array(0))
const actionDigest = digestOf(Buffer.from('an action'))
const absent = digestOf(Buffer.from('never written'))
const get = (more: object = {}) => call<ActionResult>(methods, 'GetActionResult', { actionDigest, ...more })
const update = (actionResult: object, more: object = {}) =>
  call<ActionResult>(methods, 'UpdateActionResult', {
    actionDigest,
    actionResult: { ...NOTHING, ...actionResult },
    ...more,
  })
const fileOf = (path: string, digest: Digest | undefined, contents = '') => ({
  path,
  digest,
  isExecutable: false,
  contents: Buffer.from(contents),
})

async function keep(bytes: Uint8Array | string): Promise<Digest> {
  const blob = Buffer.from(bytes as string)
  await cache.blobs.write(scope, digestOf(blob), blob)
  return digestOf(blob)
}

async function keepTree(files: readonly Digest[]): Promise<Digest> {
  const nodes = files.map((digest, i) => ({ name: `f${i}`, digest, isExecutable: false }))
  const child = { files: nodes, directories: [], symlinks: [] }
  return keep(Tree.encode({ root: { files: [], directories: [], symlinks: [] }, children: [child] }).finish())
}

describe('a look-up', () => {
  test('of nothing is NOT_FOUND, and no fault', async () => {
    expect(await statusOf(get())).toMatchObject({ code: GrpcCode.NOT_FOUND })
    expect(faults).toEqual([])
  })

  test('gives back every field as it was put', async () => {
    const nodeProperties = {
      properties: [{ name: 'p', value: 'v' }],
      mtime: { seconds: 7, nanos: 9 },
      unixMode: 0o640,
    }
    const put = {
      ...NOTHING,
      exitCode: 3,
      outputFiles: [{ ...fileOf('a/b', await keep('b')), isExecutable: true, nodeProperties }],
      outputDirectories: [{ path: '', treeDigest: await keepTree([await keep('f')]), isTopologicallySorted: true }],
      outputSymlinks: [{ path: 'link', target: '/absolute', nodeProperties }],
      outputFileSymlinks: [{ path: '../old', target: '../up' }],
      outputDirectorySymlinks: [{ path: 'dir', target: 'x' }],
      stdoutDigest: await keep('out'),
      stderrDigest: EMPTY_DIGEST,
      executionMetadata: {
        worker: 'moon',
        executionStartTimestamp: { seconds: 1, nanos: 2 },
        executionCompletedTimestamp: { seconds: 3, nanos: 4 },
        virtualExecutionDuration: { seconds: 5, nanos: 6 },
        auxiliaryMetadata: [{ typeUrl: 'any/of.Theirs', value: Buffer.from('theirs') }],
      },
    }
    expect(await update(put)).toEqual(ActionResult.decode(ActionResult.encode(put).finish()))
    expect(await get()).toEqual(ActionResult.decode(ActionResult.encode(put).finish()))
  })

  test('gives back what is not known here, also with content put in', async () => {
    const file = await keep('content')
    const stdoutDigest = await keep('out')
    const sent = ActionResult.decode(laterResult([file]))
    const kept = Buffer.from(ActionResult.encode({ ...sent, stdoutDigest }).finish())
    expect(Buffer.from(ActionResult.encode(await update({ ...sent, stdoutRaw: Buffer.from('out') })).finish())).toEqual(
      kept,
    )
    for (const wanted of [{}, { inlineStdout: true }, { inlineStdout: true, inlineOutputFiles: ['f0'] }]) {
      const { stdoutRaw, outputFiles, ...rest } = await get(wanted)
      const bare = outputFiles.map((file) => ({ ...file, contents: Buffer.alloc(0) }))
      expect([String(stdoutRaw), ...outputFiles.map(({ contents }) => String(contents))]).toEqual([
        'inlineStdout' in wanted ? 'out' : '',
        'inlineOutputFiles' in wanted ? 'content' : '',
      ])
      const emptied = { ...rest, stdoutRaw: Buffer.alloc(0), outputFiles: bare }
      expect(Buffer.from(ActionResult.encode(emptied).finish())).toEqual(kept)
    }
  })

  test('puts in what was asked for and is there, and names it all the same', async () => {
    const [out, err, one, two] = await Promise.all(['out', 'err', 'one', 'two'].map((text) => keep(text)))
    await update({
      stdoutDigest: out,
      stderrDigest: err,
      outputFiles: [fileOf('one', one), fileOf('two', two), fileOf('empty', EMPTY_DIGEST)],
    })
    const shape = ({ stdoutRaw, stderrRaw, outputFiles, stdoutDigest, stderrDigest }: ActionResult) => {
      expect([stdoutDigest, stderrDigest, ...outputFiles.map(({ digest }) => digest)]).toEqual([
        out,
        err,
        one,
        two,
        EMPTY_DIGEST,
      ])
      return [stdoutRaw, stderrRaw, ...outputFiles.map(({ contents }) => contents)].map(String)
    }
    expect(shape(await get())).toEqual(['', '', '', '', ''])
    expect(shape(await get({ inlineStdout: true }))).toEqual(['out', '', '', '', ''])
    expect(shape(await get({ inlineStderr: true }))).toEqual(['', 'err', '', '', ''])
    expect(shape(await get({ inlineOutputFiles: ['two', 'empty', 'none'] }))).toEqual(['', '', '', 'two', ''])
    const all = { inlineStdout: true, inlineStderr: true, inlineOutputFiles: ['one', 'two'] }
    expect(shape(await get(all))).toEqual(['out', 'err', 'one', 'two', ''])
    // What was given out is not what is kept.
    expect(shape(await get())).toEqual(['', '', '', '', ''])
  })

  test.each([1, 127, 128, 300, 16_383, 16_384, 1 << 20])('puts in %i bytes of what was printed', async (length) => {
    const printed = content(length, 3)
    await update({ stdoutDigest: await keep(printed) })
    expect((await get({ inlineStdout: true })).stdoutRaw.equals(printed)).toBe(true)
  })

  test('puts in no more than a message holds, and leaves out what is large', async () => {
    const blobs = await Promise.all([1, 2, 3, 4].map((seed) => keep(content(1 << 20, seed))))
    const large = await keep(content((1 << 20) + 1, 5))
    const outputFiles = [fileOf('large', large), ...blobs.map((digest, i) => fileOf(`f${i}`, digest))]
    await update({ outputFiles, stdoutDigest: await keep('printed') })
    const result = await get({ inlineStdout: true, inlineOutputFiles: outputFiles.map(({ path }) => path) })
    expect(result.stdoutRaw.toString()).toBe('printed')
    expect(result.outputFiles.map(({ contents }) => contents.length)).toEqual([0, 1 << 20, 1 << 20, 1 << 20, 0])
    expect(ActionResult.encode(result).finish().length).toBeLessThan(4 << 20)
  })

  test('is a miss when what should be put in cannot be read', async () => {
    const digest = await keep('out')
    await update({ stdoutDigest: digest })
    const blobs = {
      ...pick(cache.blobs),
      async *readBatch(_: unknown, digests: readonly Digest[]) {
        for (const index of digests.keys()) yield { index, bytes: undefined }
      },
    }
    const damaged = actionCacheService({ ...served(), blobs }, { onFault: (error) => faults.push(error) })
    const asked = call(damaged, 'GetActionResult', { actionDigest, inlineStdout: true })
    expect(await statusOf(asked)).toMatchObject({ code: GrpcCode.NOT_FOUND })
    expect(faults).toEqual([])
  })

  test('leaves what stands in a result already as it is: it needs no blob', async () => {
    const text = (name: string) => ({ bytes: Buffer.from(name), digest: digestOf(Buffer.from(name)) })
    const [out, err, file] = [text('out'), text('err'), text('file')]
    const outputFiles = [fileOf('f', file.digest, 'file')]
    const printed = { stdoutRaw: out.bytes, stdoutDigest: out.digest, stderrRaw: err.bytes, stderrDigest: err.digest }
    const put = { ...NOTHING, ...printed, outputFiles }
    await cache.actions.put(scope, asActionDigest(actionDigest), put)
    const all = { inlineStdout: true, inlineStderr: true, inlineOutputFiles: ['f'] }
    for (const wanted of [{}, all])
      expect(await get(wanted)).toEqual(ActionResult.decode(ActionResult.encode(put).finish()))
  })

  test('is a miss when the store fails, and the fault is told', async () => {
    const actions = {
      ...pick(cache.actions),
      get: async () => {
        throw new Error('the disk is on fire')
      },
    }
    const failing = actionCacheService({ ...served(), actions }, { onFault: (error) => faults.push(error) })
    const status = await statusOf(call(failing, 'GetActionResult', { actionDigest }))
    expect(status).toMatchObject({ code: GrpcCode.NOT_FOUND })
    expect(status.message).not.toContain('fire')
    expect(faults).toMatchObject([{ message: 'the disk is on fire' }])
  })

  test('that was given up while blobs are read is neither a miss nor a fault', async () => {
    await update({ stdoutRaw: Buffer.from('out') })
    const signal = AbortSignal.abort(new Error('gone'))
    const asked = call(methods, 'GetActionResult', { actionDigest, inlineStdout: true }, { signal })
    await expect(asked).rejects.toThrow('gone')
    expect(faults).toEqual([])
  })

  test('keeps instances apart', async () => {
    await update({ exitCode: 1 }, { instanceName: 'red/team' })
    await update({ exitCode: 2 })
    expect(await get({ instanceName: 'red/team' })).toMatchObject({ exitCode: 1 })
    expect(await get()).toMatchObject({ exitCode: 2 })
    expect(await statusOf(get({ instanceName: 'red' }))).toMatchObject({ code: GrpcCode.NOT_FOUND })
  })

  test.each(['file', 'file of a tree', 'tree'])(
    'does not find a result whose %s has gone, wherever it came from',
    async (gone) => {
      const unknown = asActionDigest({ ...actionDigest, sizeBytes: UNKNOWN_BYTES })
      const files = { file: content(2 << 20, 1), 'file of a tree': content(2 << 20, 2) }
      const inTree = await keep(files['file of a tree'])
      // As large as those in files of their own, so that one of them can be taken away.
      const treeDigest = await keepTree(Array.from({ length: gone === 'tree' ? 30_000 : 1 }, () => inTree))
      const outputFiles = [fileOf('f', await keep(files.file))]
      const result = {
        ...NOTHING,
        outputFiles,
        outputDirectories: [{ path: 'd', treeDigest, isTopologicallySorted: false }],
      }
      await update(result)
      await cache.actions.put(scope, unknown, result)
      expect(await cache.actions.get(scope, unknown)).toMatchObject({ kind: 'hit' })
      const { hash, sizeBytes } = { file: digestOf(files.file), 'file of a tree': inTree, tree: treeDigest }[
        gone
      ] as Digest
      removeBlobFile(hash)
      // Who reads it finds out.
      expect(await cache.blobs.read(scope, { hash, sizeBytes })).toBeUndefined()
      await using fresh = await openCache({ cacheDir: cache.dir })
      const again = actionCacheService(fresh, { onFault: (error) => faults.push(error) })
      expect(await statusOf(call(again, 'GetActionResult', { actionDigest }))).toMatchObject({
        code: GrpcCode.NOT_FOUND,
      })
      expect(await fresh.actions.get(scope, unknown)).toMatchObject({ kind: 'miss' })
      expect(faults).toEqual([])
    },
  )
})

describe('an upload', () => {
  test('puts what was within it into the CAS, and gives back what is kept', async () => {
    const digest = digestOf(Buffer.from('contents'))
    const answer = await update({
      outputFiles: [fileOf('with', digest, 'contents'), fileOf('without', undefined, 'other')],
      stdoutRaw: Buffer.from('out'),
      stderrRaw: Buffer.from('err'),
    })
    expect(answer).toEqual(await get())
    expect(answer.outputFiles.map(({ digest }) => digest)).toEqual([digest, digestOf(Buffer.from('other'))])
    expect([answer.stdoutDigest, answer.stderrDigest]).toEqual([
      digestOf(Buffer.from('out')),
      digestOf(Buffer.from('err')),
    ])
    expect(
      [answer.stdoutRaw, answer.stderrRaw, ...answer.outputFiles.map((f) => f.contents)].map(String).join(''),
    ).toBe('')
    const inlined = await get({ inlineStdout: true, inlineOutputFiles: ['without'] })
    expect(`${inlined.stdoutRaw}, ${inlined.outputFiles[1]?.contents}`).toBe('out, other')
  })

  test('takes the place of an earlier one', async () => {
    await update({ exitCode: 1 })
    await update({ exitCode: 2 })
    expect(await get()).toMatchObject({ exitCode: 2 })
  })

  test('whose blobs are not there is refused by name, and leaves what was there', async () => {
    await update({ exitCode: 1 })
    const other = { ...absent, sizeBytes: 7 }
    for (const [result, subject] of [
      [{ outputFiles: [fileOf('f', absent)] }, absent],
      [{ stdoutDigest: absent }, absent],
      [{ outputDirectories: [{ path: 'd', treeDigest: absent }] }, absent],
      [{ outputDirectories: [{ path: 'd', treeDigest: await keepTree([absent]) }] }, absent],
      [{ stdoutDigest: await keep('here'), stderrDigest: other }, other],
    ] as const) {
      const status = await statusOf(update(result))
      expect(status.code).toBe(GrpcCode.FAILED_PRECONDITION)
      expect(status.details[0]?.typeUrl).toBe('type.googleapis.com/google.rpc.PreconditionFailure')
      expect(PreconditionFailure.decode(status.details[0]?.value as Buffer).violations).toEqual([
        { type: 'MISSING', subject: `blobs/${subject.hash}/${subject.sizeBytes}`, description: '' },
      ])
    }
    expect(await get()).toMatchObject({ exitCode: 1 })
  })

  test('of which thousands are missing is refused in few words', async () => {
    const files = Array.from({ length: 1_000 }, (_, i) => fileOf(`f${i}`, digestOf(Buffer.from(`${i}`))))
    const { details, message } = await statusOf(update({ outputFiles: files }))
    expect(message).toContain('1000')
    expect(details[0]?.value.length).toBeLessThan(6_000)
    expect(PreconditionFailure.decode(details[0]?.value as Buffer).violations.length).toBe(50)
  })

  const hash = 'a'.repeat(64)
  test.each<[string, object]>([
    ['a file without a digest', { outputFiles: [fileOf('f', undefined)] }],
    ['a file with the digest of other content', { outputFiles: [fileOf('f', absent, 'text')] }],
    ['stdout with the digest of other content', { stdoutRaw: Buffer.from('text'), stdoutDigest: absent }],
    ['a hash in upper case', { outputFiles: [fileOf('f', { hash: hash.toUpperCase(), sizeBytes: 1 })] }],
    ['a hash of another length', { stdoutDigest: { hash: 'abc', sizeBytes: 1 } }],
    ['a negative size', { stderrDigest: { hash, sizeBytes: -1 } }],
    ['no bytes under another hash', { stderrDigest: { hash, sizeBytes: 0 } }],
    ['a tree without a digest', { outputDirectories: [{ path: 'd' }] }],
    ['a tree with a bad digest', { outputDirectories: [{ path: 'd', treeDigest: { hash: '', sizeBytes: 0 } }] }],
    [
      'a root with a bad digest',
      { outputDirectories: [{ path: 'd', rootDirectoryDigest: { hash: 'g'.repeat(64), sizeBytes: 1 } }] },
    ],
    ['an absolute path of a file', { outputFiles: [fileOf('/etc/passwd', EMPTY_DIGEST)] }],
    ['an empty path of a file', { outputFiles: [fileOf('', EMPTY_DIGEST)] }],
    ['a path with a NUL', { outputFiles: [fileOf('a\0b', EMPTY_DIGEST)] }],
    ['an absolute path of a directory', { outputDirectories: [{ path: '/d', treeDigest: EMPTY_DIGEST }] }],
    ['an absolute path of a link', { outputSymlinks: [{ path: '/l', target: 'x' }] }],
    ['an absolute path of a link to a file', { outputFileSymlinks: [{ path: '/l', target: 'x' }] }],
    ['an absolute path of a link to a directory', { outputDirectorySymlinks: [{ path: '/l', target: 'x' }] }],
  ])('with %s is INVALID_ARGUMENT', async (_, result) => {
    expect(await statusOf(update(result))).toMatchObject({ code: GrpcCode.INVALID_ARGUMENT })
    expect(await statusOf(get())).toMatchObject({ code: GrpcCode.NOT_FOUND })
  })

  test('that names as a tree what is none is INVALID_ARGUMENT', async () => {
    const treeDigest = await keep('\xff\xff not a tree')
    expect(await statusOf(update({ outputDirectories: [{ path: 'd', treeDigest }] }))).toMatchObject({
      code: GrpcCode.INVALID_ARGUMENT,
    })
  })

  test('that names as a tree what is far too large is refused without reading it', async () => {
    let isRead = false
    const blobs = {
      ...pick(cache.blobs),
      missing: async () => [],
      read: async () => {
        isRead = true
        return undefined
      },
    }
    const refusing = actionCacheService({ ...served(), blobs }, { onFault: (error) => faults.push(error) })
    const treeDigest = { hash, sizeBytes: MOST_TREE_BYTES + 1 }
    const actionResult = { ...NOTHING, outputDirectories: [{ path: 'd', treeDigest, isTopologicallySorted: false }] }
    const status = await statusOf(call(refusing, 'UpdateActionResult', { actionDigest, actionResult }))
    expect(status).toMatchObject({ code: GrpcCode.INVALID_ARGUMENT })
    expect(isRead).toBe(false)
  })

  test('of more than a message is refused', async () => {
    const outputFiles = Array.from({ length: 60_000 }, (_, i) => fileOf(`${i}`, EMPTY_DIGEST))
    expect(await statusOf(update({ outputFiles }))).toMatchObject({ code: GrpcCode.INVALID_ARGUMENT })
  })

  test('with nothing in it is refused', async () => {
    const status = await statusOf(call(methods, 'UpdateActionResult', { actionDigest }))
    expect(status).toMatchObject({ code: GrpcCode.INVALID_ARGUMENT })
  })
})

test.each<[string, object]>([
  ['no digest', { actionDigest: undefined }],
  ['a hash that is none', { actionDigest: { hash: '../../etc', sizeBytes: 1 } }],
  ['a negative size', { actionDigest: { ...actionDigest, sizeBytes: -1 } }],
  ['another digest function', { digestFunction: 9 }],
  ['an instance with a reserved segment', { instanceName: 'a/blobs' }],
  ['an instance that is no text', { instanceName: 'a\nb' }],
  ['an endless instance', { instanceName: 'a'.repeat(201) }],
])('a call with %s is INVALID_ARGUMENT', async (_, more) => {
  expect(await statusOf(get(more))).toMatchObject({ code: GrpcCode.INVALID_ARGUMENT })
  expect(await statusOf(update({}, more))).toMatchObject({ code: GrpcCode.INVALID_ARGUMENT })
})

test('look-ups and uploads are noted down, with who made them', async () => {
  const uses: Use[] = []
  const noting = actionCacheService(
    { ...served(), usage: { note: (use) => uses.push(use) } },
    { onFault: () => undefined },
  )
  const headers = { 'user-agent': 'moon/1' }
  const ask = (name: string, more: object = {}) => call(noting, name, { actionDigest, ...more }, { headers })
  await statusOf(ask('GetActionResult'))
  await statusOf(ask('UpdateActionResult', { actionResult: { ...NOTHING, stdoutDigest: absent } }))
  await ask('UpdateActionResult', { actionResult: { ...NOTHING, exitCode: 7 }, instanceName: 'red' })
  await ask('GetActionResult', { instanceName: 'red' })
  expect(uses.map(({ kind, instance, of }) => [kind, instance, of?.result.exitCode])).toEqual([
    ['miss', '', undefined],
    ['kept', 'red', 7],
    ['hit', 'red', 7],
  ])
  for (const { action, by } of uses) expect([action, by]).toEqual([actionDigest, { headers }])
})

test('reading asks for a token that reads, writing for one that writes', () => {
  expect(methods.map(({ path, needs }) => [path, needs])).toEqual([
    ['/build.bazel.remote.execution.v2.ActionCache/GetActionResult', 'read'],
    ['/build.bazel.remote.execution.v2.ActionCache/UpdateActionResult', 'write'],
  ])
})

function served() {
  return {
    blobs: cache.blobs,
    actions: cache.actions,
    names: cache.names,
    frames: cache.frames,
    records: cache.records,
  }
}

/** A store whose methods can be replaced one by one. */
function pick<T extends object>(store: T): T {
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(store)).filter((name) => name !== 'constructor')
  const methods = names.map((name) => [
    name,
    (store as Record<string, (...args: never[]) => unknown>)[name]?.bind(store),
  ])
  return Object.fromEntries(methods) as T
}

/** Takes away the file that a large blob is kept in. */
function removeBlobFile(hash: string): void {
  const shard = join(cache.dir, 'blobs', hash.slice(0, 2))
  const names = readdirSync(shard).filter((name) => name.startsWith(hash))
  expect(names.length).toBe(1)
  for (const name of names) if (statSync(join(shard, name)).isFile()) rmSync(join(shard, name))
}
