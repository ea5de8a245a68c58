import { expect, test } from 'vitest'
import { DEFAULT_SCOPE as scope } from '../store/contracts.ts'
import { memoryStore } from '../store/memory/memory-store.ts'
import { artifactKey, findArtifact, keepArtifact } from './artifacts.ts'

const { signal } = new AbortController()
async function* bodyOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

test('other bytes than announced are not kept, whatever came through', async () => {
  const store = memoryStore()
  for (const contentLength of [3, 5])
    expect(
      await keepArtifact(store, { scope, body: bodyOf('four'), contentLength, signal }, { tool: 'nx', key: '1' }),
    ).toBe('cut-off')
  expect(await findArtifact(store, scope, { tool: 'nx', key: '1' }, signal)).toBeUndefined()
})

test('keys of one tool are not those of another', async () => {
  const store = memoryStore()
  const request = { scope, body: bodyOf('four'), contentLength: undefined, signal }
  expect(await keepArtifact(store, request, { tool: 'nx', key: '1', headers: { a: 'b' } })).toBe('kept')
  expect(await findArtifact(store, scope, { tool: 'nx', key: '1' }, signal)).toMatchObject({ headers: { a: 'b' } })
  expect(await findArtifact(store, scope, { tool: 'gradle', key: '1' }, signal)).toBeUndefined()
})

test('how long the work took is known to the store, which weighs by it', async () => {
  const store = memoryStore()
  const request = { scope, body: bodyOf('four'), contentLength: 4, signal }
  await keepArtifact(store, request, { tool: 'turborepo', key: '1', durationMs: 1234 })
  const { durationOf } = await import('../store/named-blobs.ts')
  const lookup = await store.actions.get(scope, artifactKey('turborepo', '1'))
  expect(lookup.kind === 'hit' && durationOf(lookup.result)).toBe(1234)
})
