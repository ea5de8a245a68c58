import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { installed } from '../../bench/installed.ts'
import { sha256Hex } from '../../src/digest/sha256.ts'
import { ActionResult } from '../../src/proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { lateProxy, type Refusal, refusingProxy } from './ailing-proxies.ts'
import { REDIS_SKIPPED, RedisProcess } from './redis-server.ts'
import { type Runtime, runtimes, type Sandbox, sandbox } from './runtimes.ts'
import { BUCKET, S3_CREDENTIALS, S3_SERVER, s3Server } from './s3-server.ts'
import { ServeProcess } from './serve-process.ts'
import { skipIf } from './skip-if.ts'

/** What builds see of storage behind a server that answers, and is full or slow; and what becomes of what was acknowledged. */
const [runtime] = runtimes as [Runtime]

interface Served extends AsyncDisposable {
  readonly box: Sandbox
  readonly server: ServeProcess
  readonly http: string
  readonly grpc: string
  /** Of another server, which has nothing on a disk of its own. */
  readonly otherHttp: string
}

async function servedOver(endpoint: string, redis?: string): Promise<Served> {
  await using made = new AsyncDisposableStack()
  const box = made.use(sandbox('ailing'))
  const cas = `s3://${BUCKET}/build?endpoint=${encodeURIComponent(endpoint)}&region=us-east-1`
  const words = ['--http', '0', '--workers', '1', '--cas', cas, ...(redis === undefined ? [] : ['--ac', redis])]
  process.env.AWS_ACCESS_KEY_ID = S3_CREDENTIALS.accessKeyId
  process.env.AWS_SECRET_ACCESS_KEY = S3_CREDENTIALS.secretAccessKey
  const start = (name: string) => made.use(new ServeProcess(runtime, path.join(box.folder, name), words))
  const [server, other] = [start('one'), start('other')]
  delete process.env.AWS_ACCESS_KEY_ID
  delete process.env.AWS_SECRET_ACCESS_KEY
  const [{ http, grpc }, { http: otherHttp }] = await Promise.all([server.addresses(), other.addresses()])
  const parts = made.move()
  return { box, server, http, grpc, otherHttp, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

/** One task on a machine that has no cache of its own yet; what it makes is right whatever the storage does. */
async function build(
  { box, grpc }: Served,
  machine: string,
  text: string,
  cache = 'local:rw,remote:rw',
): Promise<string> {
  const folder = path.join(box.folder, machine)
  mkdirSync(path.join(folder, 'src'), { recursive: true })
  writeFileSync(path.join(folder, 'recue.config.json'), '{}')
  writeFileSync(path.join(folder, 'src/a'), text.repeat(1000))
  const [program = '', ...before] = runtime.argv
  const env = {
    ...{ PATH: process.env.PATH, HOME: folder, RECUE_CACHE_DIR: path.join(folder, '.cache') },
    ...{ RECUE_REMOTE: grpc, RECUE_REMOTE_TIMEOUT: '10s' },
  }
  const command = ['-i', 'src', '-o', 'out', '--', 'sh', '-c', 'mkdir -p out; cp src/a out/b']
  const words = [...before, 'run', '--upload-wait', '5s', '--cache', cache, ...command]
  const child = spawn(program, words, { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] })
  const [said, [code]] = await Promise.all([child.stderr.toArray(), once(child, 'exit')])
  const stderr = Buffer.concat(said).toString()
  expect([code, stderr]).toEqual([0, expect.stringMatching(/^recue: (hit|miss)/m)])
  expect(readFileSync(path.join(folder, 'out/b'), 'utf8')).toBe(text.repeat(1000))
  return /^recue: (hit|miss)/m.exec(stderr)?.[1] ?? ''
}

/** Found by a machine that puts nothing there. One that is too busy to hear the first answer in its time is no miss of the storage. */
async function isHit(served: Served, text: string): Promise<boolean> {
  for (let i = 0; i < 5; i++)
    if ((await build(served, `${text}-${i}`, text, 'local:rw,remote:r')) === 'hit') return true
  return false
}

interface Acknowledged {
  readonly paths: ReadonlyMap<string, Uint8Array>
  readonly refused: number
}

const RESULT = new Uint8Array(ActionResult.encode({ ...ActionResult.decode(new Uint8Array(0)), exitCode: 3 }).finish())

/** Blobs and results that a server said it kept. */
async function putMany(
  http: string,
  count: number,
  kinds: readonly ('cas' | 'ac')[] = ['cas', 'ac'],
): Promise<Acknowledged> {
  const paths = new Map<string, Uint8Array>()
  let refused = 0
  const one = async (kind: 'cas' | 'ac') => {
    const blob = new Uint8Array(randomBytes(20_000))
    const [key, body] = [`/${kind}/${sha256Hex(blob)}`, kind === 'cas' ? blob : RESULT]
    const answer = await fetch(`${http}${key}`, { method: 'PUT', body })
    await answer.arrayBuffer()
    expect([200, 503]).toContain(answer.status)
    if (answer.status === 200) paths.set(key, body)
    else refused++
  }
  await Promise.all(Array.from({ length: count }, () => kinds.map(one)).flat())
  return { paths, refused }
}

async function areAllThere(http: string, ...kept: readonly Acknowledged[]): Promise<void> {
  for (const { paths } of kept)
    for (const [key, body] of paths) {
      const answer = await fetch(`${http}${key}`)
      expect([key, answer.status, Buffer.from(await answer.arrayBuffer()).equals(body)]).toEqual([key, 200, true])
    }
}

/** Until it takes something of each kind again. */
async function takesAll({ http }: Served): Promise<void> {
  while ((await putMany(http, 1)).refused > 0) await new Promise((resolve) => setTimeout(resolve, 50))
}

/** Filled, and emptied again, while builds go on. */
async function fullAndBack(
  served: Served,
  fill: () => unknown,
  empty: () => unknown,
  said: RegExp,
): Promise<Acknowledged> {
  expect(await build(served, 'first', 'before')).toBe('miss')
  const before = await putMany(served.http, 3)
  expect(before.refused).toBe(0)
  await fill()
  const during = await putMany(served.http, 10)
  for (const text of ['during', 'during-too']) expect(await build(served, 'second', text)).toBe('miss')
  const later = await putMany(served.http, 10)
  expect(during.refused + later.refused).toBeGreaterThan(0)
  // What is there is had all the same.
  await areAllThere(served.otherHttp, before)
  expect(await isHit(served, 'before')).toBe(true)
  await served.server.said(said)
  expect(served.server.errors.filter((line) => said.test(line)).length).toBeLessThan(3)
  expect(served.server.errors.length).toBeLessThan(8)
  await empty()
  await takesAll(served)
  await areAllThere(served.otherHttp, before, during, later)
  expect(await build(served, 'third', 'after')).toBe('miss')
  expect(await isHit(served, 'after')).toBe(true)
  return { paths: during.paths, refused: during.refused + later.refused }
}

const S3_SKIPPED = !installed(S3_SERVER) && `${S3_SERVER} is not installed`

describe('storage behind a server', () => {
  beforeEach((context) => skipIf(S3_SKIPPED, context))

  test('a bucket on a disk that is full: what is there is had, what is not kept is not acknowledged', async (context) => {
    await using disk = await smallDisk()
    skipIf(disk === undefined && 'no file system can be mounted', context)
    if (disk === undefined) return
    await using s3 = await s3Server(disk.folder)
    await using served = await servedOver(s3.endpoint)
    const filler = path.join(disk.folder, 'filler')
    const fill = () => spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k'])
    await fullAndBack(served, fill, () => rmSync(filler), /s3:/)
  })

  test.each<[string, Refusal]>([
    ['has no room', { status: 507, code: 'XMinioStorageFull' }],
    ['is over its quota', { status: 403, code: 'QuotaExceeded' }],
  ])('a bucket that %s: likewise, and it is not asked to keep more for a while', async (_, refusal) => {
    let isFull = false
    let refused = 0
    await using s3 = await s3Server()
    await using proxy = await refusingProxy(s3.endpoint, ({ method }) => {
      if (!isFull || (method !== 'PUT' && method !== 'POST')) return undefined
      refused++
      return refusal
    })
    await using served = await servedOver(`http://127.0.0.1:${proxy.port}`)
    const is = (full: boolean) => () => {
      isFull = full
    }
    const kept = await fullAndBack(served, is(true), is(false), /has no room for more/)
    expect(kept.paths.size).toBe(0)
    expect(refused).toBeLessThan(kept.refused)
  })

  test('a bucket that is too busy for every third request: builds go on, and find what was kept', async () => {
    let asked = 0
    await using s3 = await s3Server()
    await using proxy = await refusingProxy(s3.endpoint, () =>
      ++asked % 3 === 0 ? { status: 503, code: 'SlowDown' } : undefined,
    )
    await using served = await servedOver(`http://127.0.0.1:${proxy.port}`)
    expect(await build(served, 'first', 'before')).toBe('miss')
    const kept = await putMany(served.http, 15)
    expect(kept.paths.size).toBeGreaterThan(0)
    expect(await isHit(served, 'before')).toBe(true)
    expect(served.server.errors.length).toBeLessThan(8)
    asked = Number.NEGATIVE_INFINITY
    await takesAll(served)
    await areAllThere(served.otherHttp, kept)
  })

  test('a Redis that has no memory left, and may forget nothing: results are refused, look-ups go on', async (context) => {
    skipIf(REDIS_SKIPPED, context)
    await using s3 = await s3Server()
    await using redis = await RedisProcess.start('--maxmemory-policy', 'noeviction')
    await using served = await servedOver(s3.endpoint, redis.address)
    const allow = (memory: string) => () => expect(redis.say('CONFIG', 'SET', 'maxmemory', memory)).toBe('OK')
    const kept = await fullAndBack(served, allow('500kb'), allow('100mb'), /has no memory left/)
    expect([...kept.paths.keys()].filter((key) => key.startsWith('/ac/'))).toEqual([])
  })

  test('a Redis that takes half a second to answer is waited for', async (context) => {
    skipIf(REDIS_SKIPPED, context)
    await using s3 = await s3Server()
    await using redis = await RedisProcess.start()
    await using proxy = await lateProxy(redis.port, 500)
    await using served = await servedOver(s3.endpoint, `redis://127.0.0.1:${proxy.port}`)
    expect(await build(served, 'first', 'before')).toBe('miss')
    const kept = await putMany(served.http, 10)
    expect(kept.refused).toBe(0)
    await areAllThere(served.otherHttp, kept)
    expect(await isHit(served, 'before')).toBe(true)
    expect(served.server.errors).toEqual([])
  })
})

/** A file system of a few megabytes; undefined where none can be mounted. */
async function smallDisk(): Promise<({ readonly folder: string } & AsyncDisposable) | undefined> {
  const folder = await mkdtemp(path.join(tmpdir(), 'recue-small-'))
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', folder]).status !== 0) {
    rmSync(folder, { recursive: true })
    return undefined
  }
  return {
    folder,
    async [Symbol.asyncDispose]() {
      spawnSync('umount', ['-l', folder])
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
