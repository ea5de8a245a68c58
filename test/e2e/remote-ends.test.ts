import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { digestOf } from '../../src/digest/sha256.ts'
import { action, actionStoreContract, result } from '../../src/store/action-store.contract.ts'
import { blobStoreContract } from '../../src/store/blob-store.contract.ts'
import { DEFAULT_SCOPE, type Frames } from '../../src/store/contracts.ts'
import { framesContract } from '../../src/store/frames.contract.ts'
import { openRemote } from '../../src/store/remote/open-remote.ts'
import { skipIf } from './skip-if.ts'

/** The contracts of stores, kept by remote ends with a server that is not ours behind them. */
const PROGRAM = 'bazel-remote'

const LATER = 'it looks for the blobs when the result is asked for'
const LOOKS_LATER = {
  'gives back the result as it was put, with its digest': 'it writes into the result who put it',
  'refuses a result with a blob that is not there, and keeps what it had': LATER,
  'refuses a tree whose files are not all there, at any depth': LATER,
  'refuses directories below a root of which %s is not there': 'it knows no root directories',
  'refuses a root directory that is none': 'it knows no root directories',
  'refuses a tree that is none': LATER,
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function answering(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const isUp = await new Promise((resolve) =>
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false)),
    )
    socket.destroy()
    if (isUp) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

function opener(scheme: 'grpc' | 'http') {
  return async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'recue-bazel-remote-'))
    const [http, grpc] = [await freePort(), await freePort()]
    const flags = [
      '--dir',
      folder,
      '--max_size',
      '1',
      '--access_log_level',
      'none',
      '--enable_ac_key_instance_mangling',
    ]
    const addresses = ['--http_address', `127.0.0.1:${http}`, '--grpc_address', `127.0.0.1:${grpc}`]
    const child = spawn(PROGRAM, [...flags, ...addresses], { stdio: 'ignore' })
    await Promise.all([answering(http), answering(grpc)])
    const end = await openRemote(`${scheme}://127.0.0.1:${scheme === 'grpc' ? grpc : http}`)
    return {
      ...end,
      async [Symbol.asyncDispose]() {
        await end[Symbol.asyncDispose]()
        const ended = once(child, 'exit')
        child.kill('SIGKILL')
        await ended
        rmSync(folder, { recursive: true, force: true })
      },
    }
  }
}

if (!isInstalled()) {
  test('remote ends of bazel-remote', (context) => skipIf(`${PROGRAM} is not installed`, context))
} else {
  blobStoreContract('reapi, of bazel-remote', opener('grpc'))
  actionStoreContract('reapi, of bazel-remote', opener('grpc'), {
    ...LOOKS_LATER,
    'is found by who knows only the hash of the action, whatever size it was put under':
      'REAPI names actions with their size',
    removes: 'REAPI has no word for it',
  })
  const framed = async () => {
    const end = await opener('grpc')()
    return { ...end, frames: end.frames as Frames }
  }
  framesContract('reapi, of bazel-remote', framed, {
    'gives a blob of %i bytes that was written alone as zstd': 'it finds nothing to save in such bytes',
    'keeps a frame as it is': 'it makes its own',
    'takes what it gave: large blobs too, as a stream in pieces of any size': 'it makes its own',
  })
  test.each([5_000, 100_000, 3_000_000])('bazel-remote gives a text of %i bytes as zstd', async (size) => {
    await using end = await framed()
    const text = Buffer.from('All work and no play makes Jack a dull boy.\n'.repeat(size / 44))
    await end.blobs.write(DEFAULT_SCOPE, digestOf(text), text)
    const parts: Uint8Array[] = []
    for await (const part of (await end.frames.readFrame(DEFAULT_SCOPE, digestOf(text))) ?? []) parts.push(part)
    expect(Buffer.concat(parts).length).toBeLessThan(size / 10)
    expect(zstdDecompressSync(Buffer.concat(parts)).equals(text)).toBe(true)
  })
  blobStoreContract('http, of bazel-remote', opener('http'))
  actionStoreContract('http, of bazel-remote', opener('http'), {
    ...LOOKS_LATER,
    'is found by who knows only the hash of the action, whatever size it was put under': 'nothing says a size there',
    removes: 'the layout has no word for it',
  })
  test.for(['grpc', 'http'] as const)(
    'a result of bazel-remote is a hit only with all its blobs there (%s)',
    async (scheme) => {
      await using end = await opener(scheme)()
      const here = Buffer.from('here')
      await end.blobs.write(DEFAULT_SCOPE, digestOf(here), here)
      await end.actions.put(DEFAULT_SCOPE, action('whole'), result([digestOf(here)]))
      await end.actions.put(DEFAULT_SCOPE, action('not'), result([digestOf(Buffer.from('gone'))]))
      expect(await end.actions.get(DEFAULT_SCOPE, action('whole'))).toMatchObject({ kind: 'hit' })
      expect(await end.actions.get(DEFAULT_SCOPE, action('not'))).toMatchObject({ kind: 'miss' })
    },
  )
}

function isInstalled(): boolean {
  return (process.env.PATH ?? '').split(path.delimiter).some((folder) => {
    try {
      accessSync(path.join(folder, PROGRAM), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
