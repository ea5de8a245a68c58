import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer as createHttp, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { certificateFor } from '../../src/server/listen/certificate.fixture.ts'
import { type Ended, type Report, type Runtime, runtimes, type Sandbox, sandbox } from './runtimes.ts'
import { ServeProcess } from './serve-process.ts'
import { READ_TOKEN, type Served, serveStore, WRITE_TOKEN } from './served.ts'

const BUILD = ['-i', 'src', '-o', 'out', '--', 'sh', '-c', 'mkdir -p out; cp src/a out/b; echo built']

/** A machine of its own: folder, home, cache and checkout. */
interface Machine {
  readonly home: string
  readonly project: string
  readonly cacheDir: string
  /** The config of the user: of this machine, or of the checkout. */
  write(where: 'home' | 'project', name: string, text: string): string
  recue(args: readonly string[], env?: Readonly<Record<string, string>>, input?: string): Promise<Ended>
  run(
    env: Readonly<Record<string, string>>,
    ...args: string[]
  ): Promise<Ended & { readonly report: Report & { source: string | null } }>
}

function machine(box: Sandbox, runtime: Runtime, name: string): Machine {
  const folder = path.join(box.folder, name)
  const [home, project, cacheDir] = [
    path.join(folder, 'home'),
    path.join(folder, `${name}-checkout`),
    path.join(folder, 'cache'),
  ]
  mkdirSync(path.join(home, '.config/recue'), { recursive: true })
  mkdirSync(path.join(project, 'src'), { recursive: true })
  writeFileSync(path.join(project, 'src/a'), 'content')
  const recue: Machine['recue'] = (args, env = {}, input = '') => {
    const [program = '', ...before] = runtime.argv
    // Time for a busy machine; what is about remotes that are away says how long they have.
    const patience = { RECUE_REMOTE_TIMEOUT: '20s' }
    const kept = { PATH: process.env.PATH, HOME: home, RECUE_CACHE_DIR: cacheDir, RECUE_ROOT: project, ...patience }
    return ended(program, [...before, ...args], { cwd: project, env: { ...kept, ...env } }, input)
  }
  return {
    ...{ home, project, cacheDir, recue },
    write(where, file, text) {
      const at = path.join(where === 'home' ? path.join(home, '.config/recue') : project, file)
      writeFileSync(at, text)
      return at
    },
    async run(env, ...args) {
      const report = path.join(folder, 'report.json')
      const said = await recue(['run', '--report', report, ...(args.length === 0 ? BUILD : args)], env)
      return { ...said, report: JSON.parse(readFileSync(report, 'utf8')) }
    },
  }
}

/** Waits without holding up the servers of this process. */
async function ended(program: string, args: readonly string[], options: object, input: string): Promise<Ended> {
  const child = spawn(program, args, { ...options, stdio: 'pipe' })
  const text = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (chunk: Buffer) => {
      text[name] += chunk
    })
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, ...text }
}

const remote = (served: Served, token: string, scheme = 'grpc') => ({
  RECUE_REMOTE: served.url.replace(/^http/, scheme),
  RECUE_REMOTE_TOKEN: token,
})

interface Recorder extends AsyncDisposable {
  readonly origin: string
  readonly heard: { readonly path: string; readonly headers: IncomingHttpHeaders }[]
}

/** A server of Bazel's HTTP layout that has nothing, and remembers what it was shown. */
async function recorder(
  answer: RequestListener = (_, response) => void response.writeHead(404).end(),
): Promise<Recorder> {
  const heard: Recorder['heard'] = []
  const server = createHttp((request, response) => {
    heard.push({ path: `${request.method} ${request.url}`, headers: request.headers })
    request.resume()
    answer(request, response)
  })
  const origin = `http://127.0.0.1:${await portOf(server)}`
  return {
    ...{ origin, heard },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Takes connections, and never says a word. */
async function blackHole(): Promise<AsyncDisposable & { readonly address: string; readonly met: () => number }> {
  let met = 0
  const sockets = new Set<{ destroy(): void }>()
  const server = createServer((socket) => {
    met++
    sockets.add(socket)
    socket.on('error', () => undefined).resume()
  })
  const port = await portOf(server)
  return {
    address: `grpc://127.0.0.1:${port}`,
    met: () => met,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/** A proxy that leads everybody to one port of this machine. */
async function connectProxy(
  port: number,
): Promise<AsyncDisposable & { readonly address: string; readonly asked: string[] }> {
  const asked: string[] = []
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', (head) => {
      asked.push(head.toString().split('\r\n')[0] ?? '')
      const through = connect(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connected\r\n\r\n')
        socket.pipe(through).pipe(socket)
      })
      through.on('error', () => socket.destroy())
    })
  })
  return {
    ...{ address: `http://127.0.0.1:${await portOf(server)}`, asked },
    async [Symbol.asyncDispose]() {
      server.close()
    },
  }
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const MODES: Readonly<Record<string, string>> = {
  'local:rw': 'looks sends',
  'local:rw,remote:rw': 'looks sends',
  'remote:r': 'looks',
  'local:rw,remote:w': 'sends',
  'remote:off': '',
  'local:r': 'looks',
  'local:w': 'sends',
  off: '',
}

/** Has nothing, and is content with whatever it is sent. */
const takingAll: RequestListener = (request, response) =>
  void response.writeHead(request.method === 'PUT' ? 200 : 404).end()

const warnings = (said: Ended) => said.stderr.split('\n').filter((line) => line.includes('warning'))

for (const runtime of runtimes) {
  describe(`on ${runtime.name}, a remote cache`, () => {
    test.each(['grpc', 'http'])('gives to one machine what another one made, by %s', async (scheme) => {
      await using box = sandbox('remote')
      await using served = await serveStore(runtime, path.join(box.folder, 'server'))
      const [a, b] = [machine(box, runtime, 'a'), machine(box, runtime, 'b')]
      expect((await a.run(remote(served, WRITE_TOKEN, scheme))).report).toMatchObject({ status: 'miss', source: null })
      const hit = await b.run(remote(served, READ_TOKEN, scheme))
      expect(hit.report).toMatchObject({ status: 'hit', source: 'remote', outputs: ['out/b'] })
      expect(hit.stdout).toBe('built\n')
      expect(hit.stderr).toContain('(remote)')
      expect(readFileSync(path.join(b.project, 'out/b'), 'utf8')).toBe('content')
      // From then on it is here.
      expect((await b.run({})).report).toMatchObject({ status: 'hit', source: 'local' })
      expect(JSON.parse((await b.recue(['stats', '--json'])).stdout)).toMatchObject({ hits: 2, remoteHits: 1 })
    })

    test('is asked and sent only what the mode says', async () => {
      await using box = sandbox('remote')
      await using server = await recorder(takingAll)
      const a = machine(box, runtime, 'a')
      const heard: Record<string, string> = {}
      for (const mode of Object.keys(MODES)) {
        server.heard.length = 0
        const build = ['-i', 'src', '-o', 'out', '--', 'sh', '-c', `mkdir -p out; echo ${mode} >out/b`]
        await a.run({ RECUE_REMOTE: server.origin, RECUE_CACHE: mode }, ...build)
        const [first = '', ...others] = server.heard.map((request) => request.path)
        // Whoever keeps a result asks for the one before it, but only after its blobs.
        const looks = first.startsWith('GET /ac') ? 'looks ' : ''
        heard[mode] = `${looks}${others.some((line) => line.startsWith('PUT /ac')) ? 'sends' : ''}`.trim()
      }
      expect(heard).toEqual(MODES)
    })

    test('that takes nothing from a token that only reads is no cause for a word', async () => {
      await using box = sandbox('remote')
      await using served = await serveStore(runtime, path.join(box.folder, 'server'))
      const a = machine(box, runtime, 'a')
      const said = await a.run(remote(served, READ_TOKEN))
      expect(said.report.status).toBe('miss')
      expect(said.stderr.trim().split('\n')).toHaveLength(1)
    })

    test('that does not know the token is told of once, without the token, and the work goes on', async () => {
      await using box = sandbox('remote')
      await using served = await serveStore(runtime, path.join(box.folder, 'server'))
      const a = machine(box, runtime, 'a')
      a.write(
        'project',
        'recue.config.json',
        JSON.stringify({
          tasks: { x: { command: 'echo x' }, y: { command: 'echo y' }, all: { dependsOn: ['x', 'y'] } },
        }),
      )
      const said = await a.recue(['run', 'all'], remote(served, 'not-the-token-at-all'))
      expect(said.status, said.stderr).toBe(0)
      expect(warnings(said)).toEqual([expect.stringMatching(/grpc:\/\/127.*does not know this token.*Work goes on/)])
      expect(said.stderr + said.stdout).not.toContain('not-the-token')
    })

    test('is shown what a helper program says', async () => {
      await using box = sandbox('remote')
      await using served = await serveStore(runtime, path.join(box.folder, 'server'))
      const [a, b] = [machine(box, runtime, 'a'), machine(box, runtime, 'b')]
      await a.run(remote(served, WRITE_TOKEN))
      const answer = JSON.stringify({ headers: { Authorization: [`Bearer ${READ_TOKEN}`] } })
      const helper = b.write(
        'home',
        'helper',
        `#!/bin/sh\n[ "$1" = get ] && grep -q '"uri":"http://127' && echo '${answer}'\n`,
      )
      chmodSync(helper, 0o755)
      b.write('home', 'config.json', JSON.stringify({ remote: served.url, remoteHelper: './helper' }))
      const hit = await b.run({})
      expect(hit.report, hit.stderr).toMatchObject({ status: 'hit', source: 'remote' })
      const said = await b.recue(['config'])
      expect(said.stdout).toContain(`shown the token of ${helper}`)
      expect((await b.recue(['doctor'])).stdout).toMatch(/warn +remote +.* answers, but takes nothing/)
    })

    test('that is away is told of once, and not again while it is left alone', async () => {
      await using box = sandbox('remote')
      const a = machine(box, runtime, 'a')
      const build = (word: string) => a.run({ RECUE_REMOTE: 'grpc://127.0.0.1:1' }, '-i', 'src', '--', 'echo', word)
      const first = await build('one')
      expect(first.report.status).toBe('miss')
      expect(warnings(first)).toEqual([expect.stringContaining('127.0.0.1:1 cannot be reached')])
      for (const word of ['two', 'three', 'four', 'five', 'six']) await build(word)
      const later = await build('seven')
      expect(later.report.status).toBe('miss')
      expect(warnings(later)).toEqual([])
    })

    test('that takes connections and never answers is asked by one run, and by none after it', async () => {
      await using box = sandbox('remote')
      await using hole = await blackHole()
      const a = machine(box, runtime, 'a')
      const env = { RECUE_REMOTE: hole.address, RECUE_REMOTE_TIMEOUT: '150ms' }
      const build = (word: string) => a.run(env, '-i', 'src', '--', 'echo', word)
      const first = await build('one')
      expect(first.report.status).toBe('miss')
      expect(warnings(first)).toEqual([expect.stringMatching(/did not answer within 150 ms/)])
      expect(readdirSync(path.join(a.cacheDir, 'remotes'))).toHaveLength(1)
      const met = hole.met()
      expect(met).toBeGreaterThan(0)
      const second = await build('two')
      expect(second.report.status).toBe('miss')
      expect(warnings(second)).toEqual([])
      expect(hole.met()).toBe(met)
    })

    test('is not asked where the answer is here', async () => {
      await using box = sandbox('remote')
      await using hole = await blackHole()
      const a = machine(box, runtime, 'a')
      await a.run({})
      const hit = await a.run({ RECUE_REMOTE: hole.address })
      expect(hit.report).toMatchObject({ status: 'hit', source: 'local' })
      expect(hole.met()).toBe(0)
      expect(existsSync(path.join(a.cacheDir, 'remotes'))).toBe(false)
    })

    test('gets what one run had no time to send from the next', async () => {
      await using box = sandbox('remote')
      const server = path.join(box.folder, 'server')
      const [a, b] = [machine(box, runtime, 'a'), machine(box, runtime, 'b')]
      await using served = await serveStore(runtime, server)
      await a.run({ ...remote(served, WRITE_TOKEN), RECUE_UPLOAD_WAIT: '0s' })
      await a.run({ ...remote(served, WRITE_TOKEN), RECUE_UPLOAD_WAIT: '1m' }, '--', 'echo', 'another')
      expect((await b.run(remote(served, READ_TOKEN))).report).toMatchObject({ status: 'hit', source: 'remote' })
    })
  })

  describe(`on ${runtime.name}, a checkout`, () => {
    const everything = (a: Machine) => {
      const helper = a.write(
        'home',
        'helper',
        `#!/bin/sh\ntouch '${a.home}/asked'\necho '{"headers":{"x-secret":["of-helper"]}}'\n`,
      )
      chmodSync(helper, 0o755)
      a.write('home', 'token', 'of-file')
      return {
        RECUE_REMOTE_TOKEN: 'of-variable',
        RECUE_REMOTE_TOKEN_FILE: path.join(a.home, '.config/recue/token'),
        RECUE_REMOTE_HELPER: helper,
      }
    }

    test('that names a remote is asked for nothing, shown nothing and sent nothing before its user said so', async () => {
      await using box = sandbox('hostile')
      await using evil = await recorder()
      const a = machine(box, runtime, 'a')
      for (const [name, text] of [
        ['recue.config.json', JSON.stringify({ remote: evil.origin })],
        ['recue.config.mjs', `export default { remote: ${JSON.stringify(evil.origin)} }`],
      ] as const) {
        const file = a.write('project', name, text)
        const said = await a.run(everything(a), '-i', 'src', '--', 'echo', name)
        expect(said.report.status, said.stderr).toBe('miss')
        expect(warnings(said)).toEqual([expect.stringMatching(/this checkout names it .*recue login http:\/\/127/)])
        rmSync(file)
      }
      expect(evil.heard).toEqual([])
      expect(existsSync(path.join(a.home, 'asked'))).toBe(false)
    })

    test('is shown what was given for its server at the login, and nothing of what is for others', async () => {
      await using box = sandbox('hostile')
      await using server = await recorder()
      await using evil = await recorder()
      const a = machine(box, runtime, 'a')
      a.write('project', 'recue.config.json', JSON.stringify({ remote: server.origin }))
      const login = await a.recue(['login', `${server.origin}/`], {}, 'of-login\n')
      expect(login.status, login.stderr).toBe(0)
      expect(statSync(path.join(a.home, '.config/recue/credentials.json')).mode & 0o777).toBe(0o600)
      server.heard.length = 0
      expect((await a.run(everything(a))).report.status).toBe('miss')
      expect(server.heard.length).toBeGreaterThan(0)
      for (const { headers } of server.heard) expect(headers).toMatchObject({ authorization: 'Bearer of-login' })
      expect(JSON.stringify(server.heard)).not.toMatch(/of-(variable|file|helper)/)
      a.write('project', 'recue.config.json', JSON.stringify({ remote: evil.origin }))
      expect(warnings(await a.run(everything(a), '--', 'echo', 'other'))).toHaveLength(1)
      expect(evil.heard).toEqual([])
      expect((await a.recue(['logout', server.origin])).status).toBe(0)
      a.write('project', 'recue.config.json', JSON.stringify({ remote: server.origin }))
      server.heard.length = 0
      await a.run({}, '--', 'echo', 'third')
      expect(server.heard).toEqual([])
    })

    test.each(['remoteHelper', 'remoteTokenFile', 'remoteCa', 'remoteCert', 'remoteKey'])(
      'cannot set %s',
      async (key) => {
        await using box = sandbox('hostile')
        const a = machine(box, runtime, 'a')
        a.write('project', 'recue.config.json', JSON.stringify({ [key]: './evil' }))
        const said = await a.recue(['run', '--', 'true'])
        expect(said.status).toBe(125)
        expect(said.stderr).toContain('it belongs in your own config')
      },
    )

    test('cannot send to the user’s remote what the user does not send, or what lies in a cache folder of its own', async () => {
      await using box = sandbox('hostile')
      await using server = await recorder(takingAll)
      const a = machine(box, runtime, 'a')
      const puts = () => server.heard.filter(({ path: asked }) => asked.startsWith('PUT'))
      a.write('home', 'config.json', JSON.stringify({ remote: server.origin, cache: 'local:rw,remote:w' }))
      a.write('project', 'recue.config.json', JSON.stringify({ cacheDir: 'theirs' }))
      await a.run({ RECUE_CACHE_DIR: '' }, '--', 'echo', 'one')
      expect(puts()).toEqual([])
      a.write('home', 'config.json', JSON.stringify({ remote: server.origin, cache: 'local:rw,remote:off' }))
      a.write('project', 'recue.config.json', JSON.stringify({ cache: 'local:rw,remote:rw' }))
      await a.run({}, '--', 'echo', 'two')
      expect(server.heard).toEqual([])
      a.write('home', 'config.json', JSON.stringify({ remote: server.origin, cache: 'local:rw,remote:w' }))
      await a.run({}, '--', 'echo', 'three')
      expect(puts().length).toBeGreaterThan(0)
    })
  })

  test(`on ${runtime.name}, nobody to whom a server sends us on is shown anything`, async () => {
    await using box = sandbox('redirect')
    await using evil = await recorder()
    await using server = await recorder(
      (request, response) => void response.writeHead(307, { location: `${evil.origin}${request.url}` }).end(),
    )
    const a = machine(box, runtime, 'a')
    const said = await a.run({ RECUE_REMOTE: server.origin, RECUE_REMOTE_TOKEN: 'secret' })
    expect(said.report.status).toBe('miss')
    expect(warnings(said)).toEqual([expect.stringContaining('it sends on to')])
    expect(server.heard.length).toBeGreaterThan(0)
    expect(evil.heard).toEqual([])
  })

  test.each(['grpc', 'http'])(
    `on ${runtime.name}, %s goes through the proxy that the environment names, and not to this machine itself`,
    async (scheme) => {
      await using box = sandbox('proxy')
      await using served = await serveStore(runtime, path.join(box.folder, 'server'))
      await using proxy = await connectProxy(Number(new URL(served.url).port))
      const [a, b] = [machine(box, runtime, 'a'), machine(box, runtime, 'b')]
      const named = { HTTP_PROXY: proxy.address, HTTPS_PROXY: proxy.address }
      await a.run({ ...named, ...remote(served, WRITE_TOKEN, scheme) })
      expect(proxy.asked).toEqual([])
      const far = { RECUE_REMOTE: `${scheme}://cache.example:8377`, RECUE_REMOTE_TOKEN: READ_TOKEN }
      expect((await b.run({ ...named, ...far })).report).toMatchObject({ status: 'hit', source: 'remote' })
      expect(new Set(proxy.asked)).toEqual(new Set(['CONNECT cache.example:8377 HTTP/1.1']))
    },
  )

  test(`on ${runtime.name}, a server with a certificate of its own is believed where its authority is named, and shown ours`, async () => {
    await using box = sandbox('tls')
    const [own, client] = [certificateFor('server'), certificateFor('client')]
    const a = machine(box, runtime, 'a')
    const file = (name: string, text: string) => a.write('home', name, text)
    const words = [
      '--http',
      '127.0.0.1:0',
      '--open',
      '--tls-cert',
      file('server.pem', own.cert),
      '--tls-key',
      file('server.key', own.key),
    ]
    await using server = new ServeProcess(runtime, path.join(box.folder, 'server'), [
      ...words,
      '--tls-client-ca',
      file('client-ca.pem', client.cert),
    ])
    const { http } = await server.addresses()
    const address = http.replace('https', 'grpcs')
    const ca = { RECUE_REMOTE: address, RECUE_REMOTE_CA: file('ca.pem', own.cert) }
    const both = {
      ...ca,
      RECUE_REMOTE_CERT: file('cert.pem', client.cert),
      RECUE_REMOTE_KEY: file('key.pem', client.key),
    }
    for (const [env, what] of [
      [{ RECUE_REMOTE: address }, 'not trusted'],
      [ca, 'not trusted, or ours is not'],
    ] as const) {
      const said = await a.run(env, '--', 'echo', `${Object.keys(env).length}`)
      expect(said.report.status).toBe('miss')
      expect(warnings(said)).toEqual([expect.stringContaining(what)])
    }
    await a.run(both)
    expect((await machine(box, runtime, 'b').run(both)).report).toMatchObject({ status: 'hit', source: 'remote' })
    // A login keeps them for this server, also where a checkout names it.
    const c = machine(box, runtime, 'c')
    const kept = [
      '--remote-ca',
      both.RECUE_REMOTE_CA,
      '--remote-cert',
      both.RECUE_REMOTE_CERT,
      '--remote-key',
      both.RECUE_REMOTE_KEY,
    ]
    expect((await c.recue(['login', address, '--anonymous', ...kept])).stdout).toContain('may read and write')
    c.write('project', 'recue.config.json', JSON.stringify({ remote: address }))
    expect((await c.run({})).report).toMatchObject({ status: 'hit', source: 'remote' })
  })

  test(`on ${runtime.name}, a login keeps a token that the server knows, and no other`, async () => {
    await using box = sandbox('login')
    await using served = await serveStore(runtime, path.join(box.folder, 'server'))
    const a = machine(box, runtime, 'a')
    const address = served.url.replace('http', 'grpc')
    const file = path.join(a.home, '.config/recue/credentials.json')
    const wrong = await a.recue(['login', address], {}, 'no-token-that-is-known')
    expect([wrong.status, wrong.stderr]).toEqual([1, expect.stringContaining('Nothing was kept')])
    expect(existsSync(file)).toBe(false)
    expect((await a.recue(['login', address], {}, WRITE_TOKEN)).stdout).toContain('may read and write')
    expect((await a.recue(['login', address], {}, READ_TOKEN)).stdout).toContain('may read, and not write')
    expect((await a.recue(['logout'])).stdout).toBe(`${address}\n`)
    expect((await a.run({ RECUE_REMOTE: address })).stderr.trim().split('\n')).toHaveLength(1)
    expect((await a.recue(['login', address.replace('://', '://x:y@')])).status).toBe(125)
  })
}
