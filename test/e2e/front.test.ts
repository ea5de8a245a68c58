import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { call } from './clients/calls.ts'
import { type Built, type Client, STEPS } from './clients/client.ts'
import { npmTool } from './clients/npm-tools.ts'
import { nx } from './clients/nx.ts'
import { sccacheWebdav } from './clients/sccache.ts'
import { type Runtime, runtimes } from './runtimes.ts'
import { killing, serveStore, WRITE_TOKEN } from './served.ts'
import { skipIf } from './skip-if.ts'

/** Clients whose build fails where nothing answers: through a front it never does, whatever becomes of the server. */
const CLIENTS: readonly Client[] = [nx, sccacheWebdav]

let folder: string
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'recue-e2e-front-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const ALL_BUILT = { status: 0, hits: 0, misses: STEPS }
const ALL_HITS = { status: 0, hits: STEPS, misses: 0 }

describe.each(runtimes)('the front of $name', (runtime) => {
  describe.each(CLIENTS)('for $name', (client) => {
    beforeEach((context) => skipIf(client.missing(), context))
    const built = async (server: string, { token = WRITE_TOKEN, during = ':' } = {}) => {
      await using front = await frontTo(runtime, server, token)
      return await build(client, front.url, during)
    }

    test('server up: the first build fills, the next one hits, and the tool has no token', async () => {
      await using server = await serveStore(runtime, mkdtempSync(path.join(folder, 'cache-')))
      expectBuilt(await built(server.url), ALL_BUILT)
      expectBuilt(await built(server.url), ALL_HITS)
    })

    test('server down from the start', async () => {
      expectBuilt(await built('http://127.0.0.1:9'), ALL_BUILT)
    })

    test('server killed during', async () => {
      await using server = await serveStore(runtime, mkdtempSync(path.join(folder, 'cache-')))
      expectBuilt(await built(server.url, { during: killing(server) }), ALL_BUILT)
    })

    test('wrong token', async () => {
      await using server = await serveStore(runtime, mkdtempSync(path.join(folder, 'cache-')))
      expectBuilt(await built(server.url, { token: 'a-token-of-nobodys-0123' }), ALL_BUILT)
    })

    test('connections that nobody ever answers', async () => {
      await using server = await silent()
      expectBuilt(await built(server.url), ALL_BUILT)
    })

    test.each<[string, RequestListener]>([
      [
        'nothing but 500',
        (request, response) => void request.resume().once('end', () => response.writeHead(500).end()),
      ],
      ['no answer to what is asked', () => undefined],
      [
        'downloads that break off',
        (_request, response) => {
          response.writeHead(200, { 'content-length': 1000 }).write('begin', () => response.destroy())
        },
      ],
      [
        'uploads that break off',
        (request, response) => {
          if (request.method === 'GET') response.writeHead(404).end()
          else request.once('data', () => request.socket.destroy())
        },
      ],
    ])('%s', async (_name, answer) => {
      await using server = await greeting(answer)
      expectBuilt(await built(server.url), ALL_BUILT)
    })
  })

  test('a command has the variables of its tool, its own words and its own exit code', async (context) => {
    skipIf(nx.missing(), context)
    await using server = await serveStore(runtime, mkdtempSync(path.join(folder, 'cache-')))
    const through = (root: string, ...command: string[]) => {
      const [program = '', ...before] = runtime.argv
      const words = [...before, 'front', '--server', server.url, '--tool', 'nx', '--', ...command]
      return call(root, program, words, { RECUE_TOKEN: WRITE_TOKEN, NX_DAEMON: 'false', NX_TUI: 'false' })
    }
    const root = mkdtempSync(path.join(folder, 'checkout-'))
    await nx.write(root, ':')
    expect((await through(root, npmTool('nx'), 'run-many', '-t', 'build')).status).toBe(0)
    expect(server.log.filter(({ method, status }) => method === 'PUT' && status === 200)).toHaveLength(STEPS)
    const shown = await through(root, 'sh', '-c', 'echo "$RECUE_FRONT|$RECUE_TOKEN"; echo aside >&2; exit 7')
    expect(shown).toEqual({
      status: 7,
      stdout: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\|\n$/),
      stderr: 'aside\n',
    })
    expect((await through(root, 'no-such-program-of-anybody')).status).toBe(127)
    expect((await through(root, 'sh', '-c', 'kill -9 $$')).status).toBe(137)
  })
})

test('without a front, Nx does end the build where nothing answers', async (context) => {
  skipIf(nx.missing(), context)
  expect((await build(nx, 'http://127.0.0.1:9', ':')).status).not.toBe(0)
})

async function build(client: Client, url: string, during: string): Promise<Built> {
  const root = mkdtempSync(path.join(folder, 'checkout-'))
  await client.write(root, during)
  try {
    const result = await client.build(root, { http: url, token: 'of-no-meaning' })
    if (result.status === 0)
      for (const output of client.outputs)
        expect(existsSync(path.join(root, output)), `${output}\n${result.said}`).toBe(true)
    return result
  } finally {
    await client.leave?.(root)
  }
}

function expectBuilt({ said, ...counts }: Built, expected: Omit<Built, 'said'>): void {
  expect(counts, said).toEqual(expected)
}

async function frontTo(runtime: Runtime, server: string, token: string) {
  const [program = '', ...before] = runtime.argv
  const words = [...before, 'front', '--server', server, '--listen', '0', '--json', '--quiet', '--answer-timeout', '1s']
  const child = spawn(program, words, {
    env: { PATH: process.env.PATH, HOME: folder, RECUE_TOKEN: token },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  return {
    url: (JSON.parse(String(line)) as { http: string }).http,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      expect(await exited).toEqual([0, null])
    },
  }
}

async function silent() {
  const server = createTcpServer((socket) => void socket.on('error', () => undefined).unref())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return { url: urlOf(server.address()), [Symbol.asyncDispose]: async () => void server.close() }
}

/** Greets as a recue that is well, and then does as the test says. */
async function greeting(answer: RequestListener) {
  const server = createServer((request, response) => {
    response.on('error', () => undefined)
    if (request.url !== '/recue') return answer(request, response)
    response.end(JSON.stringify({ server: 'recue', access: 'write', version: '0.1.0' }))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: urlOf(server.address()),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

function urlOf(address: AddressInfo | string | null): string {
  return `http://127.0.0.1:${(address as AddressInfo).port}`
}
