import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseServerAddress } from './server-address.ts'
import { carryOut, type FilePlan, planFile } from './setup-files.ts'
import { remoteOf, TOKEN } from './tool.ts'
import { TOOLS, toolNamed } from './tools.ts'

const SECRET = 'a-token-of-the-tests-0123'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'recue-setup-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const git = (...words: string[]) => execFileSync('git', words, { cwd: root, stdio: 'ignore' })
const read = (path: string) => readFileSync(join(root, path), 'utf8')
function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
}

function plansFor(tool: string, url = 'http://cache:8377', token = SECRET): FilePlan[] {
  const remote = remoteOf(parseServerAddress(url, token === '' ? {} : { token }))
  return toolNamed(tool)
    .setup(remote, { has: () => false, versionOf: () => undefined })
    .files.map((file) => planFile(file, { root, token }))
}

function connected(tool: string, url?: string): string[] {
  const plans = plansFor(tool, url)
  for (const plan of plans) carryOut(plan, root)
  return plans.map(({ kind, path }) => `${kind} ${path}`)
}

test.each(TOOLS.map(({ name }) => name))(
  '%s: set twice is set once; another server takes the place of the first',
  (tool) => {
    git('init', '-q')
    write('.gitignore', 'user.bazelrc\n')
    const own = (kinds: string[]) => kinds.filter((kind) => !kind.includes('~/'))
    expect(own(connected(tool)).every((kind) => kind.startsWith('make '))).toBe(true)
    expect(own(connected(tool)).every((kind) => kind.startsWith('keep '))).toBe(true)
    const files = toolNamed(tool).setup(remoteOf(parseServerAddress('http://x')), {
      has: () => false,
      versionOf: () => undefined,
    }).files
    if (files.some(({ edit }) => edit.kind !== 'block')) return
    expect(own(connected(tool, 'http://other:1')).filter((kind) => kind.startsWith('leave '))).toEqual([])
  },
)

test.each([
  [undefined, false],
  ['no version', false],
  ['ccache version 4.7.5\n', false],
  ['ccache version 4.12.9\n', false],
  ['ccache version 3.13\n', false],
  ['ccache version 4.13\nFeatures: 9.9', true],
  ['ccache version 5.0.1\n', true],
])('ccache is led to recue as its storage helper where it takes one: %j, %j', (said, isHelped) => {
  const remote = remoteOf(parseServerAddress('https://cache:8377/team', { token: SECRET }))
  const versionOf = (program: string) => (program === 'ccache' ? said : undefined)
  const { environment, files } = toolNamed('ccache').setup(remote, { has: () => false, versionOf })
  const value = isHelped
    ? `recue://cache:8377/team helper=recue @tls=true @bearer-token=${TOKEN}`
    : `${remote.httpWithToken}/ccache`
  expect(environment).toEqual([{ name: 'CCACHE_REMOTE_STORAGE', value }])
  expect(files[0]?.text).toBe(`remote_storage = ${value}\n`)
})

test('a file for the token is made where git ignores it, and for its owner alone', () => {
  git('init', '-q')
  expect(plansFor('bazel')[1]).toMatchObject({ kind: 'leave', why: expect.stringContaining('not ignored by git') })
  write('.gitignore', 'user.bazelrc\n')
  expect(connected('bazel')).toEqual(['make .bazelrc', 'make user.bazelrc'])
  expect(read('user.bazelrc')).toContain(`authorization=Bearer ${SECRET}`)
  expect(read('user.bazelrc')).not.toContain(TOKEN)
  expect(statSync(join(root, 'user.bazelrc')).mode & 0o777).toBe(0o600)
  git('add', '-f', 'user.bazelrc')
  expect(plansFor('bazel', 'http://other:1')[1]).toMatchObject({
    kind: 'leave',
    why: expect.stringContaining('tracked'),
  })
})

test('where there is no repository, it is made', () => {
  expect(connected('bazel')).toEqual(['make .bazelrc', 'make user.bazelrc'])
})

test('without a token there is no file for one', () => {
  expect(plansFor('bazel', 'http://cache:8377', '').map(({ path }) => path)).toEqual(['.bazelrc'])
})

describe('what the user has set stays as it is, and is named', () => {
  test.each([
    ['bazel', '.bazelrc', 'x\n\nbuild:ci --remote_cache=grpc://own\n', 'line 3: build:ci --remote_cache'],
    ['nx', '.env.local', 'NX_SELF_HOSTED_REMOTE_CACHE_SERVER=http://own\n', 'line 1'],
    ['moon', '.moon/workspace.yml', "projects: ['a']\nremote:\n  host: x\n", 'line 2'],
    ['pants', 'pants.toml', '[GLOBAL]\nremote_cache_read = false\n', 'line 2'],
    ['sccache', '.cargo/config.toml', '[build]\njobs = 3\n', 'line 1'],
    ['gradle', 'settings.gradle', "rootProject.name = 'a'\nbuildCache {\n}\n", 'line 2'],
    ['mise', 'mise.toml', '[settings]\nexperimental = false\n', 'line 2'],
    ['buck2', '.buckconfig', '[buck2_re_client]\ncas_address = own\n', 'line 2'],
    ['turborepo', '.turbo/config.json', '{ "apiurl": "http://own" }\n', 'says apiurl differently'],
    [
      'rush',
      'common/config/rush/build-cache.json',
      '{ "cacheProvider": "amazon-s3" }',
      'says cacheProvider differently',
    ],
    ['maven', '.mvn/extensions.xml', '<extensions/>\n', 'is there already'],
  ])('%s', (tool, path, text, why) => {
    write(path, text)
    connected(tool)
    expect(read(path)).toBe(text)
    expect(plansFor(tool).find((plan) => plan.path === path)).toMatchObject({
      kind: 'leave',
      why: expect.stringContaining(why),
    })
  })
})

test('lines of the user stay beside ours, and a rival below our own block is found where it is', () => {
  write('pants.toml', '[GLOBAL]\npants_version = "2.30"\n\n[python]\nx = 1\n')
  connected('pants')
  expect(
    read('pants.toml')
      .split('\n')
      .filter((line) => !/recue|remote/.test(line))
      .join('\n'),
  ).toBe('[GLOBAL]\npants_version = "2.30"\n\n[python]\nx = 1\n')
  expect(read('pants.toml').indexOf('remote_store_address')).toBeLessThan(read('pants.toml').indexOf('[python]'))
  write('pants.toml', `${read('pants.toml')}remote_cache_read = false\n`)
  expect(plansFor('pants')[0]).toMatchObject({ why: expect.stringMatching(/line 11: remote_cache_read/) })
})

test('JSON keeps its comments; what nobody chose is replaced', () => {
  const path = 'common/config/rush/build-cache.json'
  write(path, '/** c */\n{\n  // mine\n  "buildCacheEnabled": false,\n  "cacheProvider": "local-only",\n}\n')
  expect(connected('rush')).toEqual([`change ${path}`])
  expect(read(path)).toContain('// mine')
  expect(read(path)).toContain('"cacheProvider": "http"')
  expect(read(path)).toContain('"url": "http://cache:8377/rush/"')
})

test('what is no JSON is a mistake that is said, and nothing is written', () => {
  write('.turbo/config.json', '{ "apiurl": ')
  expect(() => plansFor('turborepo')).toThrow('.turbo/config.json is no JSON object')
})

test('a file of the user’s home is never written', () => {
  expect(plansFor('ccache')).toEqual([expect.objectContaining({ kind: 'leave', path: '~/.config/ccache/ccache.conf' })])
})
