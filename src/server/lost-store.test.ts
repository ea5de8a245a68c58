import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { openLocalStore } from '../store/local/local-store.ts'
import { OPEN } from './access.ts'
import { serve } from './serve.ts'
import type { Fault } from './watcher.ts'

test('a server whose store is gone says so once, misses what it is asked for, and is ready again when it is back', async () => {
  // Sockets are real.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const dir = mkdtempSync(join(tmpdir(), 'recue-lost-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const format = join(dir, 'FORMAT')
  const faults: Fault[] = []
  await using store = await openLocalStore({ dir })
  await using server = await serve(store, {
    http: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    gate: OPEN,
    isStoreThere: () => existsSync(format),
    onFault: (fault) => faults.push(fault),
  })
  const ask = async (path: string, init?: RequestInit) => {
    const answer = await fetch(`${server.url}${path}`, init)
    return [answer.status, await answer.text()]
  }
  const kept = { method: 'PUT', body: 'a'.repeat(100_000) }
  expect(await ask('/v1/cache/1', kept)).toEqual([200, ''])
  vi.advanceTimersByTime(10_000)
  expect(await ask('/readyz')).toEqual([200, 'ready\n'])

  rmSync(dir, { recursive: true })
  vi.advanceTimersByTime(10_000)
  expect(await ask('/readyz')).toEqual([503, 'not ready\n'])
  expect(await ask('/healthz')).toEqual([200, 'ok\n'])
  expect(faults).toMatchObject([{ protocol: 'store', error: { code: 'store.unusable' } }])
  expect((await ask('/v1/cache/1'))[0]).toBe(404)
  expect((await ask('/gradle/0123456789abcdef0123456789abcdef'))[0]).toBe(404)
  // To nx all but 200, 403 and 409 is a broken build.
  expect([200, 403, 409]).toContain((await ask('/v1/cache/2', kept))[0])

  mkdirSync(dir)
  writeFileSync(format, '1\n')
  vi.advanceTimersByTime(10_000)
  expect(await ask('/readyz')).toEqual([200, 'ready\n'])
})
