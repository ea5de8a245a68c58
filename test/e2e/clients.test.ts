import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Runtime, runtimes } from './runtimes.ts'
import { skipIf } from './skip-if.ts'

/** Real clients against a real server. Each works in a project made anew, with nothing of its own but the remote cache. */
let folder: string
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'recue-e2e-clients-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const TOKEN = 'a-token-of-the-tests-0123'

interface Serving extends AsyncDisposable {
  readonly url: string
  readonly log: { readonly protocol: string; readonly method: string; readonly status: number }[]
}

/** `recue serve` on a port of its own choice, ended by SIGTERM. */
async function served(runtime: Runtime, cacheDir: string, args: readonly string[] = []): Promise<Serving> {
  const [program = '', ...before] = runtime.argv
  const tokens = path.join(folder, 'tokens')
  writeFileSync(tokens, `write ${TOKEN}\n`)
  const words = [...before, 'serve', '--http', '0', '--json', '--access-log', '--tokens', tokens, ...args]
  const env = { PATH: process.env.PATH, HOME: folder, RECUE_CACHE_DIR: cacheDir }
  const child = spawn(program, words, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const lines = createInterface({ input: child.stdout })
  const first = Promise.withResolvers<string>()
  const log: { protocol: string; method: string; status: number }[] = []
  lines.on('line', (line) => {
    const said = JSON.parse(line) as { http?: string; protocol: string; method: string; status: number }
    if (said.http === undefined) log.push(said)
    else first.resolve(said.http)
  })
  return {
    url: await first.promise,
    log,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      expect(await exited).toBe(0)
    },
  }
}

/** Installed once for each state of its package.json. */
function clients(): string {
  const source = path.join(import.meta.dirname, 'clients')
  const state = createHash('sha256')
    .update(readFileSync(path.join(source, 'package.json')))
    .digest('hex')
  const installed = path.join(os.tmpdir(), `recue-e2e-client-tools-${state.slice(0, 16)}`)
  if (!existsSync(installed)) {
    const making = `${installed}-${process.pid}`
    cpSync(source, making, { recursive: true })
    const words = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock']
    execFileSync('npm', words, { cwd: making, stdio: 'ignore' })
    renameSync(making, installed)
  }
  return path.join(installed, 'node_modules')
}

function project(name: string, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(path.join(folder, `${name}-`))
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
    writeFileSync(path.join(root, file), text)
  }
  return root
}

interface Called {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Beside the server's log, which is read meanwhile. */
async function call(
  cwd: string,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Called> {
  const quiet = { DO_NOT_TRACK: '1', NO_COLOR: '1', CI: '1', HOME: cwd }
  const child = spawn(program, args, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
    env: { PATH: `${path.dirname(process.execPath)}:${process.env.PATH}`, ...quiet, ...env },
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { status: await ended, stdout, stderr }
}

function committed(root: string): void {
  const git = (...words: string[]) => execFileSync('git', words, { cwd: root, stdio: 'ignore' })
  git('init', '-q')
  git('add', '-A')
  git('-c', 'user.name=t', '-c', 'user.email=t@localhost', 'commit', '-q', '-m', 'All')
}

const json = (value: unknown) => JSON.stringify(value)

describe.each(runtimes)('served by $name', (runtime) => {
  test('turbo: what one checkout built is a full hit in another', async () => {
    const files = {
      '.gitignore': 'dist\nnode_modules\n.turbo\n',
      'package.json': json({ name: 'root', packageManager: 'npm@11.0.0', workspaces: ['packages/*'] }),
      'package-lock.json': json({
        ...{ name: 'root', lockfileVersion: 3 },
        packages: {
          '': { name: 'root', workspaces: ['packages/*'] },
          'packages/a': { name: 'a', version: '1.0.0' },
          'node_modules/a': { resolved: 'packages/a', link: true },
        },
      }),
      'turbo.json': json({ tasks: { build: { outputs: ['dist/**'] } } }),
      'packages/a/package.json': json({
        name: 'a',
        version: '1.0.0',
        scripts: { build: 'mkdir -p dist && echo made > dist/out.txt' },
      }),
    }
    await using server = await served(runtime, path.join(folder, `turbo-${runtime.name}`))
    const env = { TURBO_API: server.url, TURBO_TOKEN: TOKEN, TURBO_TEAM: 'red', TURBO_TELEMETRY_DISABLED: '1' }
    const build = (root: string) => call(root, path.join(clients(), '.bin/turbo'), ['run', 'build'], env)
    const first = project('turbo', files)
    committed(first)
    expect(await build(first)).toMatchObject({ status: 0, stdout: expect.stringContaining('cache miss') })
    const second = project('turbo', files)
    committed(second)
    expect(await build(second)).toMatchObject({ status: 0, stdout: expect.stringContaining('FULL TURBO') })
    expect(readFileSync(path.join(second, 'packages/a/dist/out.txt'), 'utf8')).toBe('made\n')
  })

  test('nx: what one checkout built is read by another', async () => {
    const files = {
      '.gitignore': 'dist\n.nx\n',
      'package.json': json({ name: 'root', private: true }),
      'nx.json': json({
        targetDefaults: { build: { cache: true, outputs: ['{projectRoot}/dist'] } },
        neverConnectToCloud: true,
        analytics: false,
      }),
      'a/project.json': json({
        name: 'a',
        targets: { build: { command: 'mkdir -p a/dist && echo made > a/dist/o.txt' } },
      }),
    }
    await using server = await served(runtime, path.join(folder, `nx-${runtime.name}`))
    const env = {
      ...{ NX_DAEMON: 'false', NX_TUI: 'false', NX_SELF_HOSTED_REMOTE_CACHE_SERVER: server.url },
      NX_SELF_HOSTED_REMOTE_CACHE_ACCESS_TOKEN: TOKEN,
    }
    const build = async () => {
      const root = project('nx', files)
      execFileSync('ln', ['-s', clients(), path.join(root, 'node_modules')])
      committed(root)
      return { root, ended: await call(root, path.join(clients(), '.bin/nx'), ['run', 'a:build'], env) }
    }
    expect((await build()).ended.status).toBe(0)
    const { root, ended } = await build()
    expect(ended).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/read the output from the cache|remote cache/i),
    })
    expect(readFileSync(path.join(root, 'a/dist/o.txt'), 'utf8')).toBe('made\n')
    expect(server.log.map(({ method, status }) => `${method} ${status}`)).toEqual(['GET 404', 'PUT 200', 'GET 200'])
  })

  test('ccache: a compile is a remote hit for who has an empty cache of his own', async (context) => {
    skipIf(missing('ccache') ?? missing('gcc'), context)
    await using server = await served(runtime, path.join(folder, `ccache-${runtime.name}`))
    const { host } = new URL(server.url)
    const root = project('ccache', { 't.c': 'int main(void) { return 0; }\n' })
    for (const layout of ['subdirs', 'flat', 'bazel']) {
      const compile = (own: string) =>
        call(root, 'ccache', ['gcc', '-c', 't.c', '-o', 't.o'], {
          CCACHE_DIR: path.join(root, own),
          CCACHE_REMOTE_STORAGE: `http://anybody:${TOKEN}@${host}/ccache|layout=${layout}`,
        })
      expect((await compile(`${layout}-1`)).status).toBe(0)
      expect((await compile(`${layout}-2`)).status).toBe(0)
      const { stdout } = await call(root, 'ccache', ['-s', '-v'], { CCACHE_DIR: path.join(root, `${layout}-2`) })
      expect(stdout).toMatch(/Remote storage:[\s\S]*Hits: +[12] /)
    }
  })

  test('bazel: an action is a remote cache hit after a clean', async (context) => {
    skipIf(missing('bazel'), context)
    await using server = await served(runtime, path.join(folder, `bazel-${runtime.name}`))
    const { host } = new URL(server.url)
    const root = project('bazel', {
      WORKSPACE: '',
      BUILD: 'genrule(name="g", outs=["o.txt"], cmd="echo hello > $@")\n',
    })
    const bazel = (...words: string[]) =>
      call(root, 'bazel', [`--output_user_root=${path.join(root, '.out')}`, ...words], {})
    const build = () => bazel('build', `--remote_cache=http://anybody:${TOKEN}@${host}`, '//:g')
    try {
      expect((await build()).status).toBe(0)
      await bazel('clean')
      expect(await build()).toMatchObject({ status: 0, stderr: expect.stringContaining('1 remote cache hit') })
    } finally {
      await bazel('shutdown')
    }
  })
})

function missing(program: string): string | undefined {
  return spawnSync(program, ['--version']).error === undefined ? undefined : `${program} is not installed`
}
