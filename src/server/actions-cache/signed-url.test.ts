import { expect, test } from 'vitest'
import { memoryRecords } from '../../store/memory/memory-records.ts'
import { type Grant, grantIn, signedUrl } from './signed-url.ts'

const grant: Grant = { may: 'read', instance: 'red', entry: 'ab', upload: '', expiresMs: 1000 }
const origin = async (request: Parameters<typeof signedUrl>[1]) =>
  new URL(await signedUrl(memoryRecords(), request, grant)).origin

test('leads back by the way that the client came', async () => {
  expect(await origin({ headers: { host: 'a:80' }, isEncrypted: false })).toBe('http://a')
  expect(await origin({ headers: { host: 'a:81' }, isEncrypted: true })).toBe('https://a:81')
  expect(await origin({ headers: { ':authority': 'a:81' }, isEncrypted: true })).toBe('https://a:81')
  const forwarded = { host: 'a', 'x-forwarded-host': 'b, c', 'x-forwarded-proto': 'https' }
  expect(await origin({ headers: forwarded, isEncrypted: false })).toBe('https://b')
  expect(await origin({ headers: { host: 'a', 'x-forwarded-proto': 'http' }, isEncrypted: true })).toBe('http://a')
  expect(await origin({ headers: { host: 'a', 'x-forwarded-proto': 'ftp' }, isEncrypted: true })).toBe('http://a')
})

test('says what it was given out for until it is over, and of another store nothing', async () => {
  const records = memoryRecords()
  const url = new URL(await signedUrl(records, { headers: {}, isEncrypted: false }, grant))
  const path = url.pathname.slice('/actions-cache/'.length)
  const sig = url.searchParams.get('sig')
  expect(grantIn(records, path, sig, 999)).toEqual(grant)
  expect(grantIn(records, path, sig, 1000)).toBeUndefined()
  expect(grantIn(memoryRecords(), path, sig, 999)).toBeUndefined()
  expect(grantIn(records, path.replace('read', 'write'), sig, 999)).toBeUndefined()
  expect(grantIn(records, `${path}/more`, sig, 999)).toBeUndefined()
  for (const other of [null, '', `${sig}A`, 'A'.repeat(43)]) expect(grantIn(records, path, other, 999)).toBeUndefined()
})
