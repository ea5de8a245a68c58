import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { actionsCache } from './clients/actions-cache.ts'
import { call, writeFiles } from './clients/calls.ts'
import { npmTools } from './clients/npm-tools.ts'
import { runtimes } from './runtimes.ts'
import { serveStore, WRITE_TOKEN } from './served.ts'
import { skipIf } from './skip-if.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'recue-e2e-archives-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** More than the 128 MiB up to which Azure's SDK uploads in one request. */
const SCRIPT = `
import { createHash, randomFillSync } from 'node:crypto'
import { openSync, mkdirSync, readFileSync, rmSync, writeSync, closeSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
const load = (name) => import(pathToFileURL(process.env.TOOLS + '/' + name).href)
const cache = await load('@actions/cache/lib/cache.js')
const { BlockBlobClient } = await load('@azure/storage-blob/dist/esm/index.js')
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

mkdirSync('out')
const file = openSync('out/large', 'w')
for (let i = 0; i < 140; i++) writeSync(file, randomFillSync(Buffer.alloc(1 << 20)))
closeSync(file)
const before = sha256(readFileSync('out/large'))
await cache.saveCache(['out'], 'linux-1')
rmSync('out', { recursive: true })
const key = await cache.restoreCache(['out'], 'linux-2', ['linux-'])
console.log('restored by ' + key + ': ' + (sha256(readFileSync('out/large')) === before))

const rpc = async (method, message) => {
  const address = process.env.ACTIONS_RESULTS_URL + 'twirp/github.actions.results.api.v1.CacheService/' + method
  const headers = { 'content-type': 'application/json', authorization: 'Bearer ' + process.env.ACTIONS_RUNTIME_TOKEN }
  return (await fetch(address, { method: 'POST', headers, body: JSON.stringify(message) })).json()
}
const blocks = [1, 2, 3].map((n) => randomFillSync(Buffer.alloc(n * 3000000)))
const ids = blocks.map((_, i) => Buffer.from('block ' + i).toString('base64'))
const entry = { key: 'azure', version: 'v1' }
const upload = new BlockBlobClient((await rpc('CreateCacheEntry', entry)).signed_upload_url)
await Promise.all([2, 0, 1].map((i) => upload.stageBlock(ids[i], blocks[i], blocks[i].length)))
await upload.commitBlockList(ids)
const whole = Buffer.concat(blocks)
const done = await rpc('FinalizeCacheEntryUpload', { ...entry, size_bytes: String(whole.length) })
const download = new BlockBlobClient((await rpc('GetCacheEntryDownloadURL', entry)).signed_download_url)
const { contentLength, blobType } = await download.getProperties()
const back = await download.downloadToBuffer(0, contentLength, { concurrency: 4 })
const part = await download.downloadToBuffer(2999990, 20)
console.log('in ranges: ' + (done.ok && blobType === 'BlockBlob' && back.equals(whole) && part.equals(whole.subarray(2999990, 3000010))))
`

test.for(runtimes)(
  'a large archive of @actions/cache, and ranges of Azure’s SDK, served by $name',
  async (runtime, context) => {
    skipIf(actionsCache.missing(), context)
    const root = mkdtempSync(path.join(folder, 'checkout-'))
    writeFiles(root, { 'steps.mjs': SCRIPT, 'tmp/.keep': '' })
    await using server = await serveStore(runtime, mkdtempSync(path.join(folder, 'cache-')))
    const { status, stdout, stderr } = await call(root, process.execPath, ['steps.mjs'], {
      TOOLS: npmTools,
      ACTIONS_RESULTS_URL: `${server.url}/`,
      ACTIONS_RUNTIME_TOKEN: WRITE_TOKEN,
      ACTIONS_CACHE_SERVICE_V2: 'true',
      GITHUB_WORKSPACE: root,
      RUNNER_TEMP: path.join(root, 'tmp'),
    })
    const said = stdout + stderr
    expect(status, said).toBe(0)
    expect(said).toContain('restored by linux-1: true')
    expect(said).toContain('in ranges: true')
    // 64 MiB blocks, the rest, and the list; the three of Azure's SDK, and theirs.
    expect(
      server.log.filter(({ method, path: at }) => method === 'PUT' && at.startsWith('/actions-cache/')),
    ).toHaveLength(8)
  },
)
