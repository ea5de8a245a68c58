import { expect, test } from 'vitest'
import { jobScopes } from './runtime-token.ts'

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const jwt = (claims: unknown) => `Bearer ${part({ alg: 'RS256' })}.${part(claims)}.c2ln`
const ac = (...scopes: [string, number][]) =>
  JSON.stringify(scopes.map(([Scope, Permission]) => ({ Scope, Permission })))

test('a job writes to its own ref, and reads that first', () => {
  const token = jwt({ ac: ac(['refs/heads/main', 1], ['refs/heads/topic', 3]), repository_id: '7' })
  expect(jobScopes(token, 'write')).toEqual({
    repository: '7',
    write: 'refs/heads/topic',
    read: ['refs/heads/topic', 'refs/heads/main'],
  })
})

test('what the gate does not allow, no claim allows', () => {
  expect(jobScopes(jwt({ ac: ac(['refs/heads/main', 3]) }), 'read').write).toBeUndefined()
  expect(jobScopes(undefined, 'read').write).toBeUndefined()
})

test('a job that may only read writes nowhere, one that may only write reads nothing', () => {
  expect(jobScopes(jwt({ ac: ac(['refs/heads/main', 1]) }), 'write')).toMatchObject({ read: ['refs/heads/main'] })
  expect(jobScopes(jwt({ ac: ac(['refs/heads/main', 1]) }), 'write').write).toBeUndefined()
  expect(jobScopes(jwt({ ac: ac(['refs/heads/main', 2]) }), 'write')).toMatchObject({
    write: 'refs/heads/main',
    read: [],
  })
})

test.each([
  ['none', undefined],
  ['a plain one', 'Bearer some-token-0123456789'],
  ['a JWT without scopes', jwt({ sub: 'a' })],
  ['a JWT whose scopes are no list', jwt({ ac: '{"Scope":"a"}' })],
  ['a JWT whose scopes are no text', jwt({ ac: [{ Scope: 'a', Permission: 3 }] })],
  ['a JWT of nonsense', 'Bearer a.bm9uc2Vuc2U.c'],
  ['a JWT of null', `Bearer a.${part(null)}.c`],
])('a token that says nothing of scopes is of the one without a name: %s', (_name, token) => {
  expect(jobScopes(token, 'write')).toEqual({ repository: '', write: '', read: [''] })
})

test('scopes of other shapes count for nothing', () => {
  const claim = JSON.stringify([null, 1, { Scope: 1, Permission: 3 }, { Scope: 'a' }, { Scope: 'b', Permission: 3 }])
  expect(jobScopes(jwt({ ac: claim, repository_id: 7 }), 'write')).toEqual({ repository: '', write: 'b', read: ['b'] })
})
