import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { blake3 as blake3Of } from 'hash-wasm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { content } from '../../store/content.fixture.ts'
import { type LocalStore, openLocalStore } from '../../store/local/local-store.ts'
import { durationOf } from '../../store/named-blobs.ts'
import { gateOf, OPEN } from '../access.ts'
import { artifactKey } from '../artifacts.ts'
import type { Served } from '../protocol.ts'
import { type RunningServer, type ServeOptions, serve } from '../serve.ts'
import { type CacheDigest, pathOf } from './cache-digest.ts'
import { canonicalJson } from './canonical-json.ts'

let dir: string
let store: LocalStore
let server: RunningServer

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'recue-mise-'))
  store = await openLocalStore({ dir })
  await started(store)
})
afterEach(async () => {
  await server[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true, force: true })
})

async function started(served: Served, options: Partial<ServeOptions> = {}): Promise<void> {
  server = await serve(served, { http: { kind: 'tcp', host: '127.0.0.1', port: 0 }, gate: OPEN, ...options })
}

async function restarted(served: Served, options: Partial<ServeOptions> = {}): Promise<void> {
  await server[Symbol.asyncDispose]()
  await started(served, options)
}

type Headers = Readonly<Record<string, string>>
const USUAL = { 'mise-cache-protocol': '1', 'mise-cache-namespace': 'red' }
const NEW = { ...USUAL, 'if-none-match': '*' }

const ask = (path: string, headers: Headers = USUAL, init: RequestInit = {}) =>
  fetch(`${server.url}/v1/${path}`, { ...init, headers })
const put = (path: string, bytes: Uint8Array | string, headers: Headers = NEW) =>
  ask(path, headers, { method: 'PUT', body: Buffer.from(bytes as string) })
const bytesIn = async (answer: Response) => Buffer.from(await answer.arrayBuffer())

async function blake3(bytes: Uint8Array | string): Promise<CacheDigest> {
  const whole = Buffer.from(bytes as string)
  return { algorithm: 'blake3', hash: await blake3Of(whole), size: whole.length }
}

async function upload(value: Uint8Array | string | object, headers: Headers = NEW): Promise<CacheDigest> {
  const bytes = typeof value === 'string' || value instanceof Uint8Array ? value : canonicalJson(value)
  const digest = await blake3(bytes)
  expect((await put(`blobs/${pathOf(digest)}`, bytes, headers)).status).toBeLessThan(300)
  return digest
}

/** A task's result with a tree of two levels; what is in `but` is made otherwise. */
async function task(but: { readonly metadata?: object; readonly action?: object; readonly file?: CacheDigest } = {}) {
  const action = await upload(but.action ?? { kind: 'task', task: 'build', version: 1 })
  const metadata = await upload(but.metadata ?? { execution_duration_ns: 1_234_000_000, kind: 'task', version: 1 })
  const file = but.file ?? (await upload('hello'))
  const files = [{ digest: file, executable: false, mode: 420, name: 'out.txt' }]
  const below = await upload({ directories: [], files, symlinks: [], version: 1 })
  const directories = ['a', 'b'].map((name) => ({ digest: below, mode: 493, name }))
  const root = await upload({ directories, files: [], symlinks: [], version: 1 })
  return { action, result: canonicalJson({ action, metadata, output_root: root, version: 1 }), file, root, metadata }
}

describe('a blob', () => {
  test.each([0, 1, 5000, 3_000_000])('of %i bytes comes back as it was, by either digest', async (size) => {
    const bytes = content(size, size)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    for (const digest of [await blake3(bytes), { algorithm: 'sha256' as const, hash: sha256, size }]) {
      const path = `blobs/${pathOf(digest)}`
      expect((await ask(path)).status).toBe(404)
      expect((await put(path, bytes)).status).toBe(201)
      expect((await put(path, bytes)).status).toBe(204)
      const answer = await ask(path)
      expect([answer.status, answer.headers.get('content-length')]).toEqual([200, String(size)])
      expect(answer.headers.get('digest')).toBe(`${digest.algorithm}=${digest.hash}`)
      expect((await bytesIn(answer)).equals(Buffer.from(bytes))).toBe(true)
      const head = await ask(path, USUAL, { method: 'HEAD' })
      expect([head.status, head.headers.get('content-length')]).toEqual([200, String(size)])
    }
  })

  test('of other bytes than its name says is not kept', async () => {
    const digest = await blake3('right')
    const path = `blobs/${pathOf(digest)}`
    expect((await put(path, 'wrong')).status).toBe(400)
    expect((await put(path, 'too many')).status).toBe(400)
    expect((await put(`blobs/blake3/${digest.hash}/6`, 'right')).status).toBe(400)
    expect((await put(`blobs/sha256/${digest.hash}/5`, 'right')).status).toBe(400)
    expect((await ask(path)).status).toBe(404)
    expect((await store.catalog.usage()).blobs).toBe(0)
  })

  test('whose length is not announced is read as far as it can be right, and no further', async () => {
    const digest = await blake3('right')
    let pulled = 0
    const body = new ReadableStream({
      pull(controller) {
        pulled++
        controller.enqueue(Buffer.alloc(1 << 20))
      },
    })
    const init = { method: 'PUT', body, duplex: 'half' } as RequestInit
    const answer = await ask(`blobs/${pathOf(digest)}`, NEW, init).catch(() => undefined)
    expect(answer?.status ?? 400).toBe(400)
    expect(pulled).toBeLessThan(50)
    const short = { method: 'PUT', body: new Blob(['right']).stream(), duplex: 'half' } as RequestInit
    expect((await ask(`blobs/blake3/${digest.hash}/6`, NEW, short)).status).toBe(400)
  })

  test('that does not come to its end leaves nothing', async () => {
    const bytes = content(1000, 1)
    const path = `/v1/blobs/${pathOf(await blake3(bytes))}`
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    const head = `PUT ${path} HTTP/1.1\r\nhost: x\r\nmise-cache-protocol: 1\r\nmise-cache-namespace: red\r\nif-none-match: *\r\ncontent-length: 1000\r\n\r\n`
    await new Promise((resolve) => socket.write(Buffer.concat([Buffer.from(head), bytes.subarray(0, 500)]), resolve))
    socket.destroy()
    await server[Symbol.asyncDispose]()
    expect((await store.catalog.usage()).blobs).toBe(0)
    await started(store)
  })

  test.each([
    'blobs/md5/d41d8cd98f00b204e9800998ecf8427e/0',
    `blobs/blake3/${'A'.repeat(64)}/0`,
    `blobs/blake3/${'a'.repeat(63)}/0`,
    `blobs/blake3/${'a'.repeat(64)}/-1`,
    `blobs/blake3/${'a'.repeat(64)}/01`,
    `blobs/blake3/${'a'.repeat(64)}/0/0`,
    `blobs/blake3/${'a'.repeat(64)}`,
    `blobs/blake3/${'a'.repeat(64)}/9999999999999999`,
  ])('is not named %s', async (path) => {
    expect((await ask(path)).status).toBe(400)
  })

  test('may be too large', async () => {
    expect((await put(`blobs/blake3/${'a'.repeat(64)}/${200 * 2 ** 30}`, 'x')).status).toBe(413)
  })
})

test('many digests are asked for at once', async () => {
  const there = await upload('there')
  const gone = await blake3('gone')
  const query = (digests: unknown) => ask('blobs:missing', USUAL, { method: 'POST', body: JSON.stringify({ digests }) })
  expect(await (await query([there, gone])).json()).toEqual({ missing: [gone] })
  expect(await (await query([])).json()).toEqual({ missing: [] })
  expect((await query([{ ...there, size: '5' }])).status).toBe(400)
  expect((await query('none')).status).toBe(400)
  expect((await query(Array(10_000).fill(gone))).status).toBe(200)
  expect((await query(Array(10_001).fill(gone))).status).toBe(413)
  expect((await query([' '.repeat(3 << 20)])).status).toBe(413)
})

describe('a result', () => {
  test('comes back as it was, with all that it reaches', async () => {
    const { action, result, file } = await task()
    const path = `action-results/${pathOf(action)}`
    expect((await ask(path)).status).toBe(404)
    expect((await put(path, result)).status).toBe(201)
    const answer = await ask(path)
    expect(answer.headers.get('content-type')).toBe('application/vnd.mise.cache-action-result.v1+json')
    expect(await answer.text()).toBe(result)
    expect(String(await bytesIn(await ask(`blobs/${pathOf(file)}`)))).toBe('hello')
    const lookup = await store.actions.get({ instance: 'namespace=red' }, artifactKey('mise', pathOf(action)))
    expect(lookup.kind === 'hit' && durationOf(lookup.result)).toBe(1234)
  })

  test('of a task without outputs, and in an envelope with signatures', async () => {
    const action = await upload({ kind: 'task', version: 1 })
    const path = `action-results/${pathOf(action)}`
    const envelope = canonicalJson({ result: { action, version: 1 }, signatures: [{ algorithm: 'ed25519' }] })
    expect((await put(path, envelope)).status).toBe(201)
    expect(await (await ask(path)).text()).toBe(envelope)
  })

  test('never changes', async () => {
    const { action, result } = await task()
    const path = `action-results/${pathOf(action)}`
    await put(path, result)
    expect((await put(path, result)).status).toBe(204)
    expect((await put(path, ` ${result}`)).status).toBe(204)
    const other = await task({ metadata: { execution_duration_ns: 9, kind: 'task', version: 1 } })
    expect(other.action).toEqual(action)
    expect((await put(path, other.result)).status).toBe(409)
    expect(await (await ask(path)).text()).toBe(result)
  })

  test('is none without one of the blobs that it reaches', async () => {
    const missing = await blake3('never uploaded')
    const { action, result, metadata } = await task({ file: missing })
    const path = `action-results/${pathOf(action)}`
    const answer = await put(path, result)
    expect([answer.status, await answer.text()]).toEqual([422, expect.stringContaining(pathOf(missing))])
    for (const part of [{ metadata: missing }, { metadata, output_root: missing }])
      expect((await put(path, canonicalJson({ action, version: 1, ...part }))).status).toBe(422)
    const unknown = await blake3('unknown action')
    const text = canonicalJson({ action: unknown, metadata, version: 1 })
    expect((await put(`action-results/${pathOf(unknown)}`, text)).status).toBe(422)
    expect((await ask(path)).status).toBe(404)
  })

  test('is none with objects that are not canonical, or no directories', async () => {
    const { action } = await task()
    const path = `action-results/${pathOf(action)}`
    for (const text of ['{"version":1,"files":[],"directories":[],"symlinks":[]}', '{"version":1}', 'hello', '[]']) {
      const root = await upload(text)
      expect((await put(path, canonicalJson({ action, output_root: root, version: 1 }))).status).toBe(422)
    }
    const large = await upload({ text: 'x'.repeat(17 << 20) })
    expect((await put(path, canonicalJson({ action, metadata: large, version: 1 }))).status).toBe(422)
    const metadata = await upload('{"b":1,"a":1}')
    expect((await put(path, canonicalJson({ action, metadata, version: 1 }))).status).toBe(422)
  })

  test('of another action, version or form is none', async () => {
    const { action, result, metadata } = await task()
    const path = `action-results/${pathOf(action)}`
    expect((await put(`action-results/${pathOf(metadata)}`, result)).status).toBe(400)
    for (const text of [
      canonicalJson({ action, version: 2 }),
      canonicalJson({ action, version: 1, more: 1 }),
      canonicalJson({ action, version: 1, metadata: 'x' }),
      canonicalJson({ result: { action, version: 1 }, more: 1 }),
      canonicalJson({ result: 7 }),
      `{"result":{"action":${canonicalJson(action)},"version":1},"signatures":[${'['.repeat(99_999)}${']'.repeat(99_999)}]}`,
      canonicalJson({ result: { action, version: 1 }, signatures: [null] }),
      canonicalJson({ version: 1 }),
      'nonsense',
      '[]',
      ' '.repeat(2 << 20),
    ])
      expect((await put(path, text)).status).toBe(400)
  })

  test('is gone when one of its blobs is, and can be kept anew', async () => {
    const { action, result, file } = await task()
    const path = `action-results/${pathOf(action)}`
    await put(path, result)
    await store.catalog.collect({ targetBytes: 0 })
    expect((await ask(path)).status).toBe(404)
    expect((await ask(`blobs/${pathOf(file)}`)).status).toBe(404)
    const again = await task()
    expect((await put(path, again.result)).status).toBe(201)
  })

  test('gives its blobs their names back, should those have been evicted for themselves', async () => {
    const { action, result, file } = await task()
    await put(`action-results/${pathOf(action)}`, result)
    const name = artifactKey('mise blob', pathOf(file))
    expect(await store.actions.remove({ instance: 'namespace=red' }, name)).toBe(true)
    expect((await ask(`blobs/${pathOf(file)}`)).status).toBe(404)
    expect((await ask(`action-results/${pathOf(action)}`)).status).toBe(200)
    expect((await ask(`blobs/${pathOf(file)}`)).status).toBe(200)
  })
})

test('namespaces know nothing of each other', async () => {
  const { action, result, file } = await task()
  await put(`action-results/${pathOf(action)}`, result)
  const blue = { ...USUAL, 'mise-cache-namespace': 'blue' }
  for (const path of [`action-results/${pathOf(action)}`, `blobs/${pathOf(file)}`])
    expect((await ask(path, blue)).status).toBe(404)
  const query = { method: 'POST', body: JSON.stringify({ digests: [file] }) }
  expect(await (await ask('blobs:missing', blue, query)).json()).toEqual({ missing: [file] })
  const other = await fetch(`${server.url}/team/v1/blobs/${pathOf(file)}`, { headers: USUAL })
  expect(other.status).toBe(404)
})

test('who speaks another protocol is told which one is spoken here', async () => {
  const path = `blobs/blake3/${'a'.repeat(64)}/1`
  for (const headers of [{ ...USUAL, 'mise-cache-protocol': '2' }, { 'mise-cache-namespace': 'red' }]) {
    const answer = await ask(path, headers)
    expect([answer.status, answer.headers.get('mise-cache-protocol')]).toEqual([426, '1'])
  }
  expect((await ask(path, { 'mise-cache-protocol': '1' })).status).toBe(400)
  expect((await ask(path, { ...USUAL, 'mise-cache-namespace': 'x'.repeat(201) })).status).toBe(400)
})

test('what it can do is said without a namespace', async () => {
  expect(await (await ask('capabilities', {})).json()).toMatchObject({
    protocol: { major: 1 },
    digest_algorithms: ['blake3', 'sha256'],
    limits: { max_batch_items: 10_000 },
  })
  expect(await (await ask('status', {})).json()).toEqual({ status: 'ok', protocol: 1 })
  expect((await ask('capabilities', {}, { method: 'POST' })).status).toBe(405)
})

test('what is put without a condition is not kept', async () => {
  const { action, result, file } = await task()
  for (const [path, body] of [
    [`blobs/${pathOf(file)}`, 'hello'],
    [`action-results/${pathOf(action)}`, result],
  ] as const)
    expect((await put(path, body, USUAL)).status).toBe(412)
  expect((await ask(`blobs/${pathOf(file)}`, NEW, { method: 'DELETE' })).status).toBe(405)
  expect((await ask('blobs:missing')).status).toBe(405)
  expect((await ask('uploads', USUAL, { method: 'POST' })).status).toBe(404)
})

test('a token that reads may not write', async () => {
  const { action, result, file } = await task()
  await put(`action-results/${pathOf(action)}`, result)
  await restarted(store, { gate: gateOf('read read-token-0123456789', 'tokens') })
  const reader = { authorization: 'Bearer read-token-0123456789' }
  expect((await ask(`blobs/${pathOf(file)}`)).status).toBe(401)
  expect((await ask(`blobs/${pathOf(file)}`, { ...USUAL, ...reader })).status).toBe(200)
  expect((await put(`blobs/${pathOf(file)}`, 'hello', { ...NEW, ...reader })).status).toBe(403)
  const query = { method: 'POST', body: JSON.stringify({ digests: [file] }) }
  expect((await ask('blobs:missing', { ...USUAL, ...reader }, query)).status).toBe(200)
})

test('a fault of ours is a miss', async () => {
  const failing = async (): Promise<never> => {
    throw new Error('the disk is on fire')
  }
  await restarted({ ...store, actions: { get: failing, put: failing, remove: failing } })
  const path = `action-results/blake3/${'a'.repeat(64)}/1`
  expect((await ask(path)).status).toBe(404)
  expect((await put(`blobs/${pathOf(await blake3('x'))}`, 'x')).status).toBe(503)
})
