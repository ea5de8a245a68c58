import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { placeOf, prefixOf } from '../../connect/server-address.ts'
import { helperSettings } from './helper-settings.ts'

/** As ccache sets the environment. */
function started(url: string, attributes: Readonly<Record<string, string>> = {}, more: Record<string, string> = {}) {
  const list = Object.entries(attributes).flatMap(([key, value], i) => [
    [`CRSH_ATTR_KEY_${i}`, key],
    [`CRSH_ATTR_VALUE_${i}`, value],
  ])
  return helperSettings({
    ...{ CRSH_IPC_ENDPOINT: '/run/s', CRSH_URL: url, CRSH_IDLE_TIMEOUT: '600' },
    ...{ CRSH_NUM_ATTR: String(Object.keys(attributes).length), ...more },
    ...Object.fromEntries(list),
  })
}

function placed(...asked: Parameters<typeof started>) {
  const { server, instance } = started(...asked) ?? {}
  return server === undefined
    ? { local: true, instance }
    : { at: placeOf(server) + prefixOf(server), token: server.token }
}

test('without ccache there are none', () => {
  expect(helperSettings({ PATH: '/bin' })).toBeUndefined()
})

test('the socket, the time and the layout', () => {
  expect(started('recue:/')).toMatchObject({ endpoint: '/run/s', idleMs: 600_000, layout: 'subdirs' })
  expect(started('recue:/', { layout: 'flat' }, { CRSH_IDLE_TIMEOUT: '0' })).toMatchObject({
    idleMs: 0,
    layout: 'flat',
  })
  expect(started('recue:/', {}, { CRSH_IDLE_TIMEOUT: 'soon' })).toMatchObject({ idleMs: 0 })
})

test.each([
  ['recue:/', {}, { local: true, instance: '' }],
  ['recue:///', { instance: 'red' }, { local: true, instance: 'red' }],
  ['recue://cache', {}, { at: 'http://cache:8377' }],
  ['recue://cache:99', {}, { at: 'http://cache:99' }],
  ['recue://cache/red/', {}, { at: 'http://cache:8377/red' }],
  ['recue://cache', { instance: 'red' }, { at: 'http://cache:8377/red' }],
  ['recue://[::1]:99', {}, { at: 'http://[::1]:99' }],
  ['recue://cache', { tls: 'true' }, { at: 'https://cache' }],
  ['recue://any:abc@cache', {}, { at: 'http://cache:8377', token: 'abc' }],
  ['recue://cache', { 'bearer-token': 'abc' }, { at: 'http://cache:8377', token: 'abc' }],
  ['recue:/run/recue.sock', {}, { at: 'unix:/run/recue.sock' }],
  ['recue:///run/recue.sock', { instance: 'red' }, { at: 'unix:/run/recue.sock/red' }],
  ['http://any:abc@cache:99/ccache', {}, { at: 'http://cache:99', token: 'abc' }],
  ['https://cache/red/ccache/', {}, { at: 'https://cache/red' }],
])('%s with %j', (url, attributes, place) => {
  expect(placed(url, attributes)).toEqual({ token: undefined, ...place, ...('local' in place && { token: undefined }) })
})

test('a token and certificates from files, or named by variables', () => {
  const dir = mkdtempSync(join(tmpdir(), 'recue-crsh-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  writeFileSync(join(dir, 'token'), 'abc\n')
  expect(placed('recue://cache', { 'token-file': join(dir, 'token') })).toMatchObject({ token: 'abc' })
  expect(placed('recue://cache', {}, { RECUE_TOKEN: 'def' })).toMatchObject({ token: 'def' })
  expect(placed('recue://cache', {}, { RECUE_TOKEN_FILE: join(dir, 'token') })).toMatchObject({ token: 'abc' })
  expect(() => placed('recue://cache', { 'token-file': join(dir, 'none') })).toThrow('ENOENT')
  const certified = started(
    'recue://cache',
    { tls: 'true', ca: join(dir, 'token') },
    { RECUE_CERT: join(dir, 'token') },
  )
  expect(certified?.server?.tls).toEqual({ ca: 'abc\n', cert: 'abc\n' })
})

test.each([
  ['ftp://cache', {}, 'The URL is not'],
  ['http://cache/elsewhere', {}, 'The URL is not'],
  ['', {}, 'The URL is not'],
  ['recue://cache', { layout: 'round' }, '@layout=round'],
  ['recue://cache/a/b', {}, 'no name of an instance'],
])('%s with %j is not understood', (url, attributes, why) => {
  expect(() => started(url, attributes)).toThrow(
    expect.objectContaining({ code: 'usage', message: expect.stringContaining(why) }),
  )
})
