import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:http2'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, expect, test } from 'vitest'
import { certificateFor } from '../listen/certificate.fixture.ts'
import { openTlsKeys } from '../listen/tls-keys.ts'
import { temporaryServer } from '../temporary-server.fixture.ts'

const dir = mkdtempSync(join(tmpdir(), 'recue-actions-cache-tls-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const PATH = '/twirp/github.actions.results.api.v1.CacheService/CreateCacheEntry'
const MESSAGE = JSON.stringify({ key: 'a', version: 'v' })
const JSON_TYPE = { 'content-type': 'application/json' }

test('who comes by TLS is sent back by it, over either version of HTTP', async () => {
  const { cert: ca, key } = certificateFor('ours')
  const files = { cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem') }
  writeFileSync(files.cert, ca)
  writeFileSync(files.key, key)
  using keys = openTlsKeys(files, () => undefined)
  await using server = await temporaryServer({ tls: keys })
  const options = { ca }

  const one = request(server.url + PATH, { ...options, method: 'POST', headers: JSON_TYPE })
  one.end(MESSAGE)
  const [answer] = await once(one, 'response')
  expect(JSON.parse(await text(answer)).signed_upload_url).toMatch(`${server.url}/actions-cache/write/`)

  const session = connect(server.url, options)
  const two = session.request({ ':method': 'POST', ':path': PATH, ...JSON_TYPE })
  two.end(MESSAGE)
  expect(JSON.parse(await text(two)).signed_upload_url).toMatch(`${server.url}/actions-cache/write/`)
  session.close()
})
