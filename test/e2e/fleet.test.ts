import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { REDIS_SKIPPED, RedisProcess } from './redis-server.ts'
import { type Report, type Runtime, runtimes, type Sandbox, sandbox } from './runtimes.ts'
import { BUCKET, S3_CREDENTIALS, S3_SERVER, s3Server } from './s3-server.ts'
import { ServeProcess } from './serve-process.ts'
import { skipIf } from './skip-if.ts'

const BUILD = ['-i', 'src', '-o', 'out', '--', 'sh', '-c', 'mkdir -p out; cp src/a out/b; echo built']
const NO_S3 = spawnSync(S3_SERVER, ['--version']).error !== undefined && `${S3_SERVER} is not installed`

/** A build on a machine that nobody has seen before, against a server. */
function buildOnNewMachine(box: Sandbox, runtime: Runtime, name: string, address: string, text = 'content '): Report {
  const folder = path.join(box.folder, name)
  const project = path.join(folder, 'project')
  mkdirSync(path.join(project, 'src'), { recursive: true })
  writeFileSync(path.join(project, 'src/a'), text.repeat(1000))
  const [program = '', ...before] = runtime.argv
  const report = path.join(folder, 'report.json')
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    RECUE_CACHE_DIR: path.join(folder, 'cache'),
    RECUE_REMOTE: address,
    RECUE_REMOTE_TIMEOUT: '10s',
  }
  const words = [...before, 'run', '--report', report, '--upload-wait', '20s', ...BUILD]
  const { status, stderr } = spawnSync(program, words, { cwd: project, env, encoding: 'utf8' })
  expect([status, stderr]).toEqual([0, expect.stringMatching(/^recue: (hit|miss)/m)])
  expect(readFileSync(path.join(project, 'out/b'), 'utf8')).toBe(text.repeat(1000))
  return JSON.parse(readFileSync(report, 'utf8')) as Report
}

/** One server of two takes a build, and is killed; the other one has the build. */
async function handOver(runtime: Runtime, storage: readonly string[]): Promise<void> {
  await using box = sandbox('fleet')
  const start = (name: string) =>
    new ServeProcess(runtime, path.join(box.folder, name), ['--http', '0', '--workers', '1', ...storage])
  await using one = start('one')
  await using other = start('other')
  const first = buildOnNewMachine(box, runtime, 'first', (await one.addresses()).grpc)
  expect(first.status).toBe('miss')
  const { grpc } = await other.addresses()
  one.child.kill('SIGKILL')
  await one.ended
  const second = buildOnNewMachine(box, runtime, 'second', grpc)
  expect([second.status, second.key]).toEqual(['hit', first.key])
  expect(readFileSync(path.join(box.folder, 'second/project/out/b'), 'utf8')).toBe('content '.repeat(1000))
}

describe.each(runtimes)('servers that share their storage: $name', (runtime) => {
  test('blobs on a server behind them, action results in a Redis', async (context) => {
    skipIf(REDIS_SKIPPED, context)
    await using box = sandbox('fleet')
    await using redis = await RedisProcess.start()
    await using behind = new ServeProcess(runtime, path.join(box.folder, 'behind'), ['--http', '0'])
    await handOver(runtime, ['--cas', (await behind.addresses()).http, '--ac', redis.address])
  })

  test('blobs in a bucket, action results in a Redis', async (context) => {
    skipIf(REDIS_SKIPPED || NO_S3, context)
    await using redis = await RedisProcess.start()
    await using s3 = await s3Server()
    const address = `s3://${BUCKET}/build?endpoint=${encodeURIComponent(s3.endpoint)}&region=us-east-1`
    process.env.AWS_ACCESS_KEY_ID = S3_CREDENTIALS.accessKeyId
    process.env.AWS_SECRET_ACCESS_KEY = S3_CREDENTIALS.secretAccessKey
    try {
      await handOver(runtime, ['--cas', address, '--ac', redis.address])
    } finally {
      delete process.env.AWS_ACCESS_KEY_ID
      delete process.env.AWS_SECRET_ACCESS_KEY
    }
  })

  test('storage that is none is refused in a line', async () => {
    await using box = sandbox('fleet')
    for (const [words, line] of [
      [['--ac', 'redis://127.0.0.1'], /^recue: --ac names where action results are kept/],
      [['--cas', 'ftp://127.0.0.1'], /^recue: "ftp:\/\/127\.0\.0\.1" is no address of a remote cache/],
    ] as const) {
      await using server = new ServeProcess(runtime, path.join(box.folder, 'cache'), ['--http', '0', ...words])
      expect(await server.ended).toBe(125)
      expect(server.errors[0]).toMatch(line)
    }
  })
})
