import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import path from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { installed } from '../../bench/installed.ts'
import { sha256Hex } from '../../src/digest/sha256.ts'
import { ActionResult } from '../../src/proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { REDIS_SKIPPED, RedisProcess } from './redis-server.ts'
import { type Report, type Runtime, runtimes, type Sandbox, sandbox } from './runtimes.ts'
import { BUCKET, S3_CREDENTIALS, S3_SERVER, type S3Server, s3Server } from './s3-server.ts'
import { ServeProcess } from './serve-process.ts'
import { skipIf } from './skip-if.ts'

/** What becomes of builds, and of what was acknowledged, while a part of a fleet is killed or stands still. */
interface Fleet extends AsyncDisposable {
  readonly box: Sandbox
  readonly redis: RedisProcess
  readonly s3: S3Server
  readonly servers: readonly [ServeProcess, ServeProcess]
}

async function fleetOf(runtime: Runtime): Promise<Fleet> {
  await using made = new AsyncDisposableStack()
  const box = made.use(sandbox('fleet-faults'))
  const redis = made.use(await RedisProcess.start())
  const s3 = made.use(await s3Server())
  const bucket = `s3://${BUCKET}/build?endpoint=${encodeURIComponent(s3.endpoint)}&region=us-east-1`
  const words = ['--http', '0', '--workers', '1', '--cas', bucket, '--ac', redis.address]
  process.env.AWS_ACCESS_KEY_ID = S3_CREDENTIALS.accessKeyId
  process.env.AWS_SECRET_ACCESS_KEY = S3_CREDENTIALS.secretAccessKey
  const start = (name: string) => made.use(new ServeProcess(runtime, path.join(box.folder, name), words))
  const servers = [start('one'), start('other')] as const
  delete process.env.AWS_ACCESS_KEY_ID
  delete process.env.AWS_SECRET_ACCESS_KEY
  await Promise.all(servers.map((server) => server.addresses()))
  const parts = made.move()
  return { box, redis, s3, servers, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

/** One task on a machine that has no cache of its own yet. */
async function build(
  box: Sandbox,
  runtime: Runtime,
  machine: string,
  address: string,
  text: string,
  { cache = 'local:rw,remote:rw', uploadWait = '20s' } = {},
): Promise<Report> {
  const folder = path.join(box.folder, machine)
  const project = path.join(folder, `project-${text}`)
  mkdirSync(path.join(project, 'src'), { recursive: true })
  writeFileSync(path.join(project, 'recue.config.json'), '{}')
  writeFileSync(path.join(project, 'src/a'), text.repeat(1000))
  const [program = '', ...before] = runtime.argv
  const report = path.join(folder, 'report.json')
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    RECUE_CACHE_DIR: path.join(folder, 'cache'),
    RECUE_REMOTE: address,
    RECUE_REMOTE_TIMEOUT: '20s',
  }
  const command = ['-i', 'src', '-o', 'out', '--', 'sh', '-c', 'mkdir -p out; cp src/a out/b']
  const words = [...before, 'run', '--report', report, '--upload-wait', uploadWait, '--cache', cache, ...command]
  const child = spawn(program, words, { cwd: project, env, stdio: ['ignore', 'ignore', 'pipe'] })
  const [said, [code]] = await Promise.all([child.stderr.toArray(), once(child, 'exit')])
  expect([code, Buffer.concat(said).toString()]).toEqual([0, expect.stringMatching(/^recue: (hit|miss)/m)])
  expect(readFileSync(path.join(project, 'out/b'), 'utf8')).toBe(text.repeat(1000))
  return JSON.parse(readFileSync(report, 'utf8')) as Report
}

/** By a machine that puts nothing there itself. A miss shows its reason. */
async function expectHit(box: Sandbox, runtime: Runtime, machine: string, address: string, text: string) {
  const report = await build(box, runtime, `${machine}-${text}`, address, text, { cache: 'local:rw,remote:r' })
  const { status, source, reason } = report
  expect({ status, source, reason: reason ?? null }).toEqual({ status: 'hit', source: 'remote', reason: null })
}

async function status(url: string, init?: RequestInit): Promise<number> {
  const answer = await fetch(url, init)
  await answer.arrayBuffer()
  return answer.status
}

/** Blobs that a server said it kept. */
async function putMany(http: string, count: number): Promise<readonly Buffer[]> {
  const blobs = Array.from({ length: count }, () => randomBytes(5000))
  const put = (body: Buffer) => status(`${http}/cas/${sha256Hex(body)}`, { method: 'PUT', body: new Uint8Array(body) })
  const answers = await Promise.all(blobs.map(put))
  for (const answer of answers) expect([200, 503]).toContain(answer)
  return blobs.filter((_, i) => answers[i] === 200)
}

const AN_ACTION = 'a'.repeat(64)
const A_RESULT = new Uint8Array(
  ActionResult.encode({ ...ActionResult.decode(new Uint8Array(0)), exitCode: 3 }).finish(),
)

/** Until both ends take something again; asking is what makes a server look. */
async function isWhole(http: string): Promise<void> {
  for (;;) {
    const [blob] = await putMany(http, 1)
    const put = { method: 'PUT', body: A_RESULT }
    if (blob !== undefined && (await status(`${http}/ac/${AN_ACTION}`, put)) === 200) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const LACKING = REDIS_SKIPPED || (!installed(S3_SERVER) && `${S3_SERVER} is not installed`)

describe.each(runtimes)('a fleet: $name', (runtime) => {
  beforeEach((context) => skipIf(LACKING, context))

  test.each<[string, string, (fleet: Fleet) => unknown, (fleet: Fleet) => unknown]>([
    ['Redis', 'is killed', ({ redis }) => redis.kill(), ({ redis }) => redis.start()],
    ['Redis', 'stands still', ({ redis }) => redis.hold(), ({ redis }) => redis.letGo()],
    ['the S3 server', 'is killed', ({ s3 }) => s3.kill(), ({ s3 }) => s3.start()],
    ['the S3 server', 'stands still', ({ s3 }) => s3.hold(), ({ s3 }) => s3.letGo()],
  ])(
    '%s %s: builds go on, nothing is acknowledged that is lost, and all is well afterwards',
    async (part, _, hurt, heal) => {
      await using fleet = await fleetOf(runtime)
      const { box, servers } = fleet
      const [one, other] = await Promise.all(servers.map((server) => server.addresses()))
      if (one === undefined || other === undefined) throw new Error('there are two')
      expect((await build(box, runtime, 'first', one.grpc, 'before')).status).toBe('miss')

      await hurt(fleet)
      const kept = await putMany(one.http, 30)
      expect((await build(box, runtime, 'second', one.grpc, 'during', { uploadWait: '2s' })).status).toBe('miss')
      // Of the bucket, what is on the server's disk and was seen there a while ago needs nobody; of the Redis nothing is known.
      if (part === 'the S3 server') await expectHit(box, runtime, 'newcomer', one.grpc, 'before')
      for (const { http } of [one, other]) {
        // All servers share what is away: were they not ready, nobody would be there to say that it is a miss.
        for (const path of ['/readyz', '/healthz']) expect(await status(`${http}${path}`)).toBe(200)
        expect(await status(`${http}/v1/cache/1`)).toBe(404)
        expect(await status(`${http}/ac/${AN_ACTION}`)).toBe(404)
        // To nx all but 200, 403 and 409 is a broken build.
        expect([200, 403, 409]).toContain(await status(`${http}/v1/cache/2`, { method: 'PUT', body: 'a' }))
      }

      await heal(fleet)
      for (const { http } of [one, other]) await isWhole(http)
      for (const blob of kept) {
        const answer = await fetch(`${other.http}/cas/${sha256Hex(blob)}`)
        expect([answer.status, blob.equals(Buffer.from(await answer.arrayBuffer()))]).toEqual([200, true])
      }
      for (const machine of ['third', 'third-too']) await build(box, runtime, machine, one.grpc, 'after')
      await expectHit(box, runtime, 'fourth', other.grpc, 'after')
      await servers[0].said(/answers again/)
      expect(servers[0].errors.length).toBeLessThan(20)
    },
  )

  test('a server is killed in the middle of a build: the others go on with it', async () => {
    await using fleet = await fleetOf(runtime)
    const { box, servers } = fleet
    await using balancer = await balancerOver(servers)
    const steps = ['1', '2', '3', '4', '5', '6']
    for (const step of steps) {
      if (step === '4') servers[0].child.kill('SIGKILL')
      expect((await build(box, runtime, 'first', balancer.address, step)).status).toBe('miss')
    }
    for (const step of steps) await expectHit(box, runtime, 'second', balancer.address, step)
  })
})

/** Deals connections out in turn to those that take them, as what stands before a fleet does. */
async function balancerOver(servers: readonly ServeProcess[]) {
  const ports = await Promise.all(servers.map(async (each) => Number(new URL((await each.addresses()).http).port)))
  const sockets = new Set<Socket>()
  let turn = 0
  const deal = (client: Socket, attempts: number): void => {
    const server = connect(ports[turn++ % ports.length] as number, '127.0.0.1')
    server.once('error', () => (attempts > 1 ? deal(client, attempts - 1) : client.destroy()))
    server.once('connect', () => {
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        sockets.add(from)
        from.on('error', () => to.destroy()).once('close', () => to.destroy())
        from.pipe(to)
      }
    })
  }
  const balancer = createServer((client) => deal(client, ports.length))
  await once(balancer.listen(0, '127.0.0.1'), 'listening')
  return {
    address: `grpc://127.0.0.1:${(balancer.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      balancer.close()
    },
  }
}
