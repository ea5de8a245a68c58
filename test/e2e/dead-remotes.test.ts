import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'

let dir: string
let silent: ChildProcess
const sockets: Socket[] = []
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-dead-remotes-'))
})
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  silent.kill('SIGKILL')
  rmSync(dir, { recursive: true, force: true })
})

const source = (file: string) => JSON.stringify(fileURLToPath(new URL(`../../src/${file}`, import.meta.url)))
const ASK = `
  import { asActionDigest } from ${source('digest/digest.ts')}
  import { digestOf } from ${source('digest/sha256.ts')}
  import { openRemote } from ${source('store/remote/open-remote.ts')}
  import { breakerFile } from ${source('store/guarded/breaker-file.ts')}
  import { guarded } from ${source('store/guarded/guarded.ts')}
  const [dir, address] = process.argv.slice(1)
  const end = guarded(await openRemote(address), { place: address, memory: breakerFile(dir, address) })
  const action = asActionDigest(digestOf(Buffer.from('an action')))
  const { code, context } = await end.actions.get({ instance: '' }, action).catch((error) => error)
  console.log(JSON.stringify({ code, isOpen: context?.isOpen === true }))
  await end[Symbol.asyncDispose]()`

async function ask(address: string): Promise<{ code: string; isOpen: boolean }> {
  const args = ['--input-type=module-typescript', '-e', ASK, dir, address]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 })
  return JSON.parse(stdout)
}

/** A port at which the system answers nobody: its queue is full, and who should take from it is stopped. */
async function fullPort(): Promise<number> {
  const program = `
    const server = require('node:net').createServer()
    server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => console.log(server.address().port))`
  silent = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [said] = (await once(silent.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  silent.kill('SIGSTOP')
  const port = Number(String(said))
  for (let taken = true; taken; ) {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    sockets.push(socket)
    taken = await Promise.race([
      once(socket, 'connect').then(() => true),
      // Far longer than on this machine a connection takes.
      new Promise<boolean>((resolve) => setTimeout(resolve, 1_000, false)),
    ])
    if (sockets.length > 100) throw new Error('the queue is never full')
  }
  return port
}

test.each(['grpc', 'http', 'https'])(
  'whom %s does not even connect to is asked by one process alone',
  async (scheme) => {
    const address = `${scheme}://127.0.0.1:${await fullPort()}`
    expect(await ask(address)).toEqual({ code: 'remote.timed-out', isOpen: false })
    expect(await Promise.all([ask(address), ask(address)])).toEqual([
      { code: 'remote.unreachable', isOpen: true },
      { code: 'remote.unreachable', isOpen: true },
    ])
  },
)
