import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { ActionResult } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { type LocalStore, openLocalStore } from '../store/local/local-store.ts'
import { durationOf } from '../store/named-blobs.ts'
import { OPEN } from './access.ts'
import { callerOf } from './caller.ts'
import { type RunningServer, serve } from './serve.ts'
import type { Use } from './usage.ts'

let dir: string
let store: LocalStore
let server: RunningServer
let uses: Use[]

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'recue-usage-'))
  store = await openLocalStore({ dir })
  const usage = { note: (use: Use) => void uses.push(use) }
  server = await serve({ ...store, usage }, { http: { kind: 'tcp', host: '127.0.0.1', port: 0 }, gate: OPEN })
})
beforeEach(() => {
  uses = []
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true, force: true })
})

const RESULT = Buffer.from(ActionResult.encode({ ...ActionResult.decode(new Uint8Array(0)), exitCode: 1 }).finish())

test.each<[string, string, Buffer, Record<string, string>, number]>([
  ['turborepo', '/v8/artifacts/0123456789abcdef', Buffer.from('a'), { 'x-artifact-duration': '1234' }, 1234],
  ['nx', '/v1/cache/1355100152806494', Buffer.from('a'), {}, 0],
  ['gradle', '/gradle/0123456789abcdef0123456789abcdef', Buffer.from('a'), {}, 0],
  ['ccache', '/ccache/8d/9bd84f0551br9cst47htk0hov55vde0', Buffer.from('a'), {}, 0],
  ['bazel', `/ac/${'a'.repeat(64)}`, RESULT, { 'user-agent': 'bazel/4.2.3' }, 0],
])('%s is noted down: what missed, what was brought and what hit', async (tool, path, body, headers, durationMs) => {
  const ask = async (init: RequestInit) => {
    const answer = await fetch(`${server.url}/team${path}`, { headers, ...init })
    await answer.arrayBuffer()
    return answer.ok
  }
  expect([await ask({}), await ask({ method: 'PUT', body: new Uint8Array(body) }), await ask({})]).toEqual([
    false,
    true,
    true,
  ])
  expect(uses.map(({ kind }) => kind)).toEqual(['miss', 'kept', 'hit'])
  for (const { instance, by, of, kind, action } of uses) {
    expect([instance, typeof by === 'string' ? by : callerOf(by.headers).tool]).toEqual(['team', tool])
    expect(action.hash).toBe(uses[0]?.action.hash)
    if (kind !== 'miss') expect(of && durationOf(of.result)).toBe(durationMs)
  }
})

test('turbo tells what it found in its own folder, which counts for itself; what it says else is let be', async () => {
  const event = { sessionId: 's', source: 'LOCAL', event: 'HIT', hash: '0123456789abcdef', duration: 250 }
  const others = [{ ...event, source: 'REMOTE' }, { ...event, event: 'MISS' }, { ...event, hash: 1 }, null, 'x']
  for (const said of [[event, ...others, { ...event, duration: '1' }], { a: 1 }, 'no list'])
    expect(
      await fetch(`${server.url}/v8/artifacts/events?slug=t`, { method: 'POST', body: JSON.stringify(said) }),
    ).toHaveProperty('status', 200)
  expect((await fetch(`${server.url}/v8/artifacts/events`, { method: 'POST', body: '[' })).status).toBe(200)
  expect(uses.map(({ kind, instance, by }) => [kind, instance, by])).toEqual(
    Array.from({ length: 2 }, () => ['hit', 'slug=t', 'turborepo-local']),
  )
  expect(uses.map(({ of }) => of && durationOf(of.result))).toEqual([250, 0])
})
