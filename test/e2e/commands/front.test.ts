import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { gateOf } from '../../../src/server/access.ts'
import { temporaryServer } from '../../../src/server/temporary-server.fixture.ts'

const entry = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'recue-front-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const TOKEN = 'a-token-of-the-tests-0123'
const { PATH, NODE_COMPILE_CACHE } = process.env
const environment = { PATH, NODE_COMPILE_CACHE, HOME: folder, RECUE_TOKEN: TOKEN }
const start = (...args: string[]) => spawn(process.execPath, [entry, ...args], { cwd: folder, env: environment })
const NX = '/v1/cache/13551001528064948760'

async function ended(...args: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = start(...args)
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (text) => (stdout += text))
  child.stderr.on('data', (text) => (stderr += text))
  const [status] = await once(child, 'close')
  return { status, stdout, stderr }
}

test('a front says where it is, answers until it is told to end, and then ends well', async () => {
  await using server = await temporaryServer({ gate: gateOf(`write ${TOKEN}\n`, 'tokens') })
  const child = start('front', '--server', server.url, '--listen', '0', '--json')
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  const { http } = JSON.parse(String(line)) as { http: string }
  expect((await fetch(http + NX, { method: 'PUT', body: 'made' })).status).toBe(200)
  expect(await (await fetch(http + NX)).text()).toBe('made')
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})

test('a command has its own streams and exit code, the front in its environment, and no token', async () => {
  const script = `
    const answer = await fetch(process.env.NX_SELF_HOSTED_REMOTE_CACHE_SERVER + '${NX}')
    console.log(answer.status, process.env.RECUE_FRONT === process.env.NX_SELF_HOSTED_REMOTE_CACHE_SERVER, process.env.RECUE_TOKEN)
    console.error('aside')
    process.exitCode = 7`
  const words = ['--quiet', '--tool', 'nx', '--', process.execPath, '--input-type=module', '-e', script]
  expect(await ended('front', '--server', 'http://127.0.0.1:9', ...words)).toEqual({
    status: 7,
    stdout: '404 true undefined\n',
    stderr: 'aside\n',
  })
})

test('what ends a command by a signal, or keeps it from starting, is its exit code', async () => {
  const through = (...command: string[]) =>
    ended('front', '--server', 'http://127.0.0.1:9', '--quiet', '--', ...command)
  expect((await through(process.execPath, '-e', 'process.kill(process.pid, "SIGKILL")')).status).toBe(137)
  expect((await through('no-such-program-of-anybody')).status).toBe(127)
})

test('the end is passed on to the command, and its exit code waited for', async () => {
  const script = `process.on('SIGTERM', () => process.exit(9)); console.log('up'); setInterval(() => {}, 1000)`
  const child = start('front', '--server', 'http://127.0.0.1:9', '--quiet', '--', process.execPath, '-e', script)
  await once(createInterface({ input: child.stdout }), 'line')
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([9, null])
})

test.each([
  [['front'], 'Which server?'],
  [['front', '--server', 'http://cache', '--listen', '0.0.0.0:0'], 'this machine alone'],
  [['front', '--server', 'http://cache', '--tool', 'nix', '--', 'x'], 'There is no tool nix'],
  [['connect', 'nx', '--server', 'http://cache', '--token-file', 'nowhere'], '--token-file'],
])('%j is a mistake, and said in a line', (args, words) => {
  const { status, stderr } = spawnSync(process.execPath, [entry, ...args], {
    cwd: folder,
    env: environment,
    encoding: 'utf8',
  })
  expect(stderr).toContain(words)
  expect(stderr).not.toContain(TOKEN)
  expect(status).toBe(125)
})

test('connect lists the tools, and prints, writes and checks for one', { timeout: 60_000 }, async () => {
  await using server = await temporaryServer({ gate: gateOf(`write ${TOKEN}\n`, 'tokens') })
  expect((await ended('connect')).stdout).toMatch(/^turborepo .*builds$[\s\S]*^nx .*fails: recue front$/m)
  const printed = await ended('connect', 'nx', '--server', server.url)
  expect(printed.stdout).toContain(`export NX_SELF_HOSTED_REMOTE_CACHE_SERVER=${server.url}\n`)
  expect(printed.stdout).toContain('ACCESS_TOKEN="${' + 'RECUE_TOKEN}"\n')
  expect(printed.stdout).not.toContain(TOKEN)
  const would = await ended('connect', 'nx', '--server', server.url, '--write', '--dry-run')
  expect(would).toMatchObject({ status: 0, stdout: expect.stringContaining('would make .env.local') })
  expect(() => readFileSync(join(folder, '.env.local'))).toThrow('ENOENT')
  const made = await ended('connect', 'nx', '--server', server.url, '--write', '--json')
  expect(JSON.parse(made.stdout)).toMatchObject({ files: [{ path: '.env.local', did: 'make' }] })
  expect(readFileSync(join(folder, '.env.local'), 'utf8')).toContain(`CACHE_SERVER=${server.url}\n`)
  writeFileSync(join(folder, '.env.local'), 'NX_SELF_HOSTED_REMOTE_CACHE_SERVER=http://own\n')
  const left = await ended('connect', 'nx', '--server', server.url, '--write')
  expect(left).toMatchObject({ status: 1, stdout: expect.stringContaining('left .env.local: it says it in line 1') })
  const checked = await ended('connect', 'gradle', '--server', server.url, '--check', '--json')
  expect(JSON.parse(checked.stdout)).toMatchObject({ tool: 'gradle', status: 'ok' })
})

test('in GitHub Actions what is to be set is set for the steps that follow', async () => {
  const file = join(folder, 'github-env')
  const env = { ...environment, GITHUB_ENV: file }
  const args = [entry, 'connect', 'ccache', '--server', 'http://cache:8377', '--write']
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: folder, env, encoding: 'utf8' })
  expect(status, stdout).toBe(0)
  expect(readFileSync(file, 'utf8')).toBe(`CCACHE_REMOTE_STORAGE=http://any:${TOKEN}@cache:8377/ccache\n`)
  expect(stdout).not.toContain(TOKEN)
})
