import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { asActionDigest } from '../src/digest/digest.ts'
import { digestOf } from '../src/digest/sha256.ts'
import { ActionResult } from '../src/proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { content } from '../src/store/content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../src/store/contracts.ts'
import { openRemote } from '../src/store/remote/open-remote.ts'
import type { RemoteEnd } from '../src/store/remote/remote-end.ts'
import { type CountedBucket, countedBucket } from './counted-bucket.ts'
import { freePort, type Serving, serveRecue } from './served.ts'

/** What one task of a build costs a fleet. */
export interface TaskCost {
  /** The server's processor time. */
  readonly cpuMicros: number
  readonly s3Writes: number
  readonly s3Reads: number
}

export interface FleetFigures {
  /** A look-up that finds nothing, then the blobs and the result that the build made. */
  readonly miss: TaskCost
  /** A result and its blobs, all of them on the server's disk. */
  readonly nearHit: TaskCost
  /** The same of a server that has never seen it: from the bucket. */
  readonly farHit: TaskCost
  /** Of a Redis, for each result. */
  readonly redisBytesPerResult: number
}

/** As results of real projects have them: 223 of 14 steps of `developer-history.ts` had 4.0 blobs and 99,457 bytes on average. */
export const BLOBS_PER_RESULT = 4
export const BYTES_PER_BLOB = 24_864
const TASKS = 2_000
const AT_ONCE = 32

/** Two `recue serve` over one Redis and one bucket, each on the first core; the bucket is in this process. Throws where a program is missing. */
export async function measureFleet(folder: string, scale: number): Promise<FleetFigures> {
  await using bucket = await countedBucket()
  await using redis = await redisAt(await freePort())
  const serve = (name: string) => {
    mkdirSync(path.join(folder, name))
    const keys = { AWS_ACCESS_KEY_ID: 'any', AWS_SECRET_ACCESS_KEY: 'any' }
    return serveRecue(path.join(folder, name), 'executable', {
      words: ['--cas', bucket.address, '--ac', redis.address],
      variables: keys,
    })
  }
  await using one = await serve('one')
  await using other = await serve('other')
  await using first = await endOf(one)
  await using second = await endOf(other)
  const count = Math.max(100, Math.round(TASKS * scale))
  // The runtime of a server compiles what is used most within its first thousands of requests.
  const [warm, tasks] = [tasksFrom(0, count), tasksFrom(count, count)]
  for (const end of [first, second]) {
    await each(warm, (task) => missed(end, task))
    await each(warm, (task) => hit(end, task))
  }
  const before = redis.usedBytes()
  const miss = await costOf(one, bucket, tasks, (task) => missed(first, task))
  const redisBytesPerResult = (redis.usedBytes() - before) / count
  const nearHit = await costOf(one, bucket, tasks, (task) => hit(first, task))
  const farHit = await costOf(other, bucket, tasks, (task) => hit(second, task))
  return { miss, nearHit, farHit, redisBytesPerResult }
}

interface Task {
  readonly key: Uint8Array
  readonly blobs: readonly Buffer[]
}

function tasksFrom(start: number, count: number): Task[] {
  return Array.from({ length: count }, (_, i) => ({
    key: Buffer.from(`task ${start + i}`),
    blobs: Array.from({ length: BLOBS_PER_RESULT }, (_, j) =>
      Buffer.from(content(BYTES_PER_BLOB, (start + i) * BLOBS_PER_RESULT + j)),
    ),
  }))
}

async function missed(end: RemoteEnd, { key, blobs }: Task): Promise<void> {
  const action = asActionDigest(digestOf(key))
  await end.actions.get(scope, action)
  const digests = blobs.map((bytes) => digestOf(bytes))
  await end.blobs.missing(scope, digests)
  await Promise.all(digests.map((digest, i) => end.blobs.write(scope, digest, blobs[i] as Buffer)))
  const outputFiles = digests.map((digest, i) => ({
    ...{ path: `f${i}`, digest, isExecutable: false, contents: Buffer.alloc(0) },
  }))
  await end.actions.put(scope, action, { ...ActionResult.decode(new Uint8Array(0)), outputFiles })
}

async function hit(end: RemoteEnd, { key, blobs }: Task): Promise<void> {
  if ((await end.actions.get(scope, asActionDigest(digestOf(key)))).kind !== 'hit') throw new Error('a miss')
  for await (const { bytes } of end.blobs.readBatch(scope, blobs.map(digestOf)))
    if (bytes === undefined) throw new Error('a blob is missing')
}

async function costOf(
  server: Serving,
  bucket: CountedBucket,
  tasks: readonly Task[],
  run: (task: Task) => Promise<void>,
): Promise<TaskCost> {
  const [cpu, s3] = [server.cpuMicros(), bucket.counted()]
  await each(tasks, run)
  const after = bucket.counted()
  return {
    cpuMicros: (server.cpuMicros() - cpu) / tasks.length,
    s3Writes: (after.writes - s3.writes) / tasks.length,
    s3Reads: (after.reads - s3.reads) / tasks.length,
  }
}

async function each(tasks: readonly Task[], run: (task: Task) => Promise<void>): Promise<void> {
  const left = tasks.values()
  const work = async () => {
    for (const task of left) await run(task)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}

async function endOf({ grpc }: Serving): Promise<RemoteEnd> {
  return openRemote(`grpc://${grpc?.host}:${grpc?.port}`)
}

async function redisAt(port: number) {
  const child = spawn('redis-server', ['--port', `${port}`, '--bind', '127.0.0.1', '--save', ''], { stdio: 'ignore' })
  const say = (...words: string[]) => spawnSync('redis-cli', ['-p', `${port}`, ...words], { encoding: 'utf8' }).stdout
  while (!say('PING').startsWith('PONG')) if (child.exitCode !== null) throw new Error('redis-server ended')
  return {
    address: `redis://127.0.0.1:${port}`,
    usedBytes: () => Number(/used_memory:(\d+)/.exec(say('INFO', 'memory'))?.[1]),
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
    },
  }
}
