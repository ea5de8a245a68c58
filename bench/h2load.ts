import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { LOAD_CORE, pinned, type Serving } from './served.ts'

/** The same request, many times, by the load generator of nghttp2. */
export interface Load {
  readonly requests: number
  readonly connections: number
  /** Of a gRPC call: its path, and its message with the five bytes before it. */
  readonly grpc?: { readonly path: string; readonly body: Uint8Array }
  /** Of a GET by HTTP/1.1. */
  readonly httpPath?: string
}

/** What came of it. Times in microseconds. */
export interface LoadResult {
  /** The server's processor time for a request. */
  readonly cpuMicros: number
  readonly perSecond: number
  readonly p99Micros: number
}

/** Throws when one request was not answered, or not as it should be. */
export function loaded(serving: Serving, load: Load, folder: string): LoadResult {
  const log = path.join(folder, 'h2load.log')
  rmSync(log, { force: true })
  const before = serving.cpuMicros()
  const argv = pinned(LOAD_CORE, ['h2load', ...flagsOf(serving, load, folder), `--log-file=${log}`])
  const { stdout, stderr, status } = spawnSync(argv[0], argv.slice(1), { encoding: 'utf8', maxBuffer: 1 << 26 })
  const cpuMicros = (serving.cpuMicros() - before) / load.requests
  const succeeded = Number(/, (\d+) succeeded/.exec(stdout)?.[1])
  if (status !== 0 || succeeded !== load.requests)
    throw new Error(
      `h2load on ${serving.name}: ${stderr || stdout.split('\n').find((line) => line.startsWith('requests:'))}`,
    )
  const micros = readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Number(line.split('\t')[2]))
    .sort((a, b) => a - b)
  return {
    cpuMicros,
    perSecond: Number(/finished in [^,]*, ([\d.]+) req\/s/.exec(stdout)?.[1]),
    p99Micros: micros[Math.floor(micros.length * 0.99)] ?? Number.NaN,
  }
}

function flagsOf(serving: Serving, { requests, connections, grpc, httpPath }: Load, folder: string): string[] {
  const count = ['-n', `${requests}`, '-c', `${connections}`]
  if (grpc === undefined || serving.grpc === undefined)
    return [...count, '--h1', `http://${serving.http.host}:${serving.http.port}${httpPath}`]
  const body = path.join(folder, 'h2load.body')
  writeFileSync(body, grpc.body)
  const headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers']
  const windows = ['-w', '24', '-W', '24']
  return [
    ...count,
    '-m',
    '4',
    ...windows,
    ...headers,
    '-d',
    body,
    `http://${serving.grpc.host}:${serving.grpc.port}${grpc.path}`,
  ]
}
