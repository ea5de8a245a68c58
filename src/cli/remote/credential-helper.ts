import { spawn } from 'node:child_process'
import { homedir } from 'node:os'
import { CacheError } from '../../errors.ts'

export interface HelperAnswer {
  readonly headers: Readonly<Record<string, string>>
  /** Unix milliseconds. */
  readonly untilMs: number
}

/** A person may have to look for a key to be touched. */
const HELPER_MS = 30_000
const MOST_ANSWER_BYTES = 1 << 20
/** Of headers that come without a time. */
const USUAL_LIFE_MS = 30 * 60_000
/** A request takes some time to arrive. */
const BEFORE_EXPIRY_MS = 10_000

/**
 * Asks a credential helper what to send to `uri`, by the protocol that Bazel has for it
 * (github.com/EngFlow/credential-helper-spec): `get` with a request on its standard input, headers and the time they expire in
 * its answer. Started in the user's own folder, so that no checkout stands on its way. Throws `remote.denied`.
 */
export async function askHelper(program: string, uri: string, nowMs: number = Date.now()): Promise<HelperAnswer> {
  const answer = await said(program, `${JSON.stringify({ uri })}\n`)
  try {
    return answerIn(JSON.parse(answer), nowMs)
  } catch (cause) {
    throw fault(program, `its answer is none by the protocol (${(cause as Error).message})`, cause)
  }
}

function said(program: string, request: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const child = spawn(program, ['get'], { cwd: homedir(), timeout: HELPER_MS, stdio: 'pipe' })
  const answer: Buffer[] = []
  const errors: Buffer[] = []
  let bytes = 0
  const take = (into: Buffer[]) => (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MOST_ANSWER_BYTES) child.kill('SIGKILL')
    else into.push(chunk)
  }
  child.stdout.on('data', take(answer))
  child.stderr.on('data', take(errors))
  child.on('error', (cause) => reject(fault(program, `it cannot be started (${cause.message})`, cause)))
  // It may answer without reading.
  child.stdin.on('error', () => undefined)
  child.stdin.end(request)
  child.on('close', (code, signal) => {
    if (code === 0) return resolve(Buffer.concat(answer).toString('utf8'))
    const line = Buffer.concat(errors).toString('utf8').trim().split('\n').at(-1)?.slice(0, 300)
    const how = code === null ? `it was ended by ${signal}` : `it ended with ${code}`
    reject(fault(program, line ? `${how}: ${line}` : how))
  })
  return promise
}

function answerIn(answer: unknown, nowMs: number): HelperAnswer {
  const { headers = {}, expires } = answer as { headers?: Record<string, unknown>; expires?: unknown }
  const untilMs = expires === undefined ? nowMs + USUAL_LIFE_MS : Date.parse(String(expires)) - BEFORE_EXPIRY_MS
  if (Number.isNaN(untilMs)) throw new TypeError('"expires" is no time')
  const named = Object.entries(headers).map(([name, values]) => [headerName(name), headerValue(values)] as const)
  return { headers: Object.fromEntries(named), untilMs }
}

function headerName(name: string): string {
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) throw new TypeError('a header has no proper name')
  return name.toLowerCase()
}

function headerValue(values: unknown): string {
  const all: unknown[] = Array.isArray(values) ? values : [undefined]
  // Nothing that could begin another header.
  if (!all.every((value) => typeof value === 'string' && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)))
    throw new TypeError('a header has no list of proper texts')
  return all.join(', ')
}

function fault(program: string, what: string, cause?: unknown): CacheError {
  return new CacheError('remote.denied', `The credential helper ${program} was of no help: ${what}.`, {
    hint: `Try it: echo '{"uri":"https://HOST/"}' | ${program} get`,
    ...(cause !== undefined && { cause }),
  })
}
