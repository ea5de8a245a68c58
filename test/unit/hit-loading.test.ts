import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'recue-hit-loading-')))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const entry = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const project = join(folder, 'project')
const log = join(folder, 'loaded.json')

/** Writes down what is imported, in the order of asking. `process.getBuiltinModule` is no import, and not seen. */
const hook = `
  import { registerHooks } from 'node:module'
  import { writeFileSync } from 'node:fs'
  const loaded = []
  registerHooks({ resolve(specifier, context, next) { loaded.push(specifier); return next(specifier, context) } })
  process.on('exit', () => writeFileSync(${JSON.stringify(log)}, JSON.stringify(loaded)))`

/** What only a miss, a change or another command needs. */
const needless = [
  /^node:(child_process|crypto|zlib|util|fs\/promises|timers|perf_hooks|diagnostics_channel|url|stream)/,
  /^(zod|jsonc-parser|picomatch|ignore)/,
  /run-action-(miss|unkept|command|keep)\.ts$/,
  /\/(capture|restore|clean|strays|roll-forward)\.ts$/,
  /\/(journal|large-blob-reader|large-blob-writer|large-blob-files|chunked-reader|chunked-writer|fast-cdc|verify-segment|rebuild|recover|pins|local-frames|frame-reader|catalog)\.ts$/,
  /\/(cached-store|hot-entries|memory-[a-z]+|excess|collector|eviction[^/]*|compaction[^/]*)\.ts$/,
  /\/(far-side|far-actions|far-blobs|downloads|promotions|uploads|open-remote|guarded)\.ts$/,
  /input-(scan|listing|refresh)\.ts$/,
  /\/(why|stats|help|run-tasks)\.ts$/,
  /\/(remote-access|remote-choice|credentials-file|moving-line|proxy|tunnel|grpc-channel|http-client|breaker-file)\.ts$/,
]

/** What a hit that is repeated may load: nothing that knows of commands, settings, keys or the index. */
const repeating =
  /^(node:(fs|path)|.*\/(main|repeat-(run|check|record)|key-version|stream-(sink|order)|tree-snapshot|stat-identity|crc32c|crc32c-module|message-digest|sha256|errors|version|frame|ledger-files|boot|layout|small-file|cache-dir|index-stamp|failure|output|run-line|duration|size|terminal)\.ts)$/

function run(variables: NodeJS.ProcessEnv = {}): { said: string; loaded: readonly string[] } {
  const args = ['--import', `data:text/javascript,${encodeURIComponent(hook)}`, entry]
  const command = ['run', '-i', 'src', '-o', 'dist', '--', process.execPath, 'build.mjs']
  const env = {
    ...process.env,
    RECUE_CACHE_DIR: join(folder, 'cache'),
    XDG_CONFIG_HOME: join(folder, 'config'),
    ...variables,
  }
  const { stderr, status } = spawnSync(process.execPath, [...args, ...command], { cwd: project, env, encoding: 'utf8' })
  expect(status, stderr).toBe(0)
  return { said: stderr, loaded: JSON.parse(readFileSync(log, 'utf8')) as string[] }
}

test('a hit with its outputs in place loads nothing that only a miss needs', () => {
  mkdirSync(join(project, 'src'), { recursive: true })
  writeFileSync(join(project, 'src/a'), 'a')
  writeFileSync(
    join(project, 'build.mjs'),
    "import { cpSync } from 'node:fs'; cpSync('src', 'dist', { recursive: true })",
  )
  execFileSync('git', ['init', '-q'], { cwd: project })
  // A remote cache that is away: no hit has to do with it, and the user's config is plain enough to need no schema.
  mkdirSync(join(folder, 'config/recue'), { recursive: true })
  writeFileSync(join(folder, 'config/recue/config.json'), '{ "remote": "grpc://127.0.0.1:1", "uploadWait": "0s" }')
  const miss = run()
  expect(miss.said).toContain('miss')
  // The list names files that are there: a miss loads them.
  expect(miss.loaded.some((name) => name.endsWith('run-action-miss.ts'))).toBe(true)
  expect(miss.loaded.some((name) => name.endsWith('/journal.ts'))).toBe(true)
  expect(miss.loaded.some((name) => name.endsWith('/far-side.ts'))).toBe(true)
  expect(miss.loaded.some((name) => name.endsWith('/remote/open-remote.ts'))).toBe(true)
  // Files as young as their record are looked at once more; from then on nothing is.
  let hit = run()
  for (let round = 0; round < 5 && hit.loaded.some((name) => /input-refresh|\/restore\.ts/.test(name)); round++)
    hit = run()
  expect(hit.said).toContain('hit')
  expect(hit.loaded.filter((name) => needless.some((pattern) => pattern.test(name)))).toEqual([])
  // Where nobody answers: asked, it would say so, in a line more.
  const withRemote = run({ RECUE_REMOTE: 'grpc://127.0.0.1:1' })
  expect(withRemote.said.split('\n')).toHaveLength(hit.said.split('\n').length)
  expect(withRemote.loaded.some((name) => name.endsWith('/tiered.ts'))).toBe(true)
  expect(withRemote.loaded.filter((name) => needless.some((pattern) => pattern.test(name)))).toEqual([])
})

test('a hit that is repeated loads next to nothing', () => {
  const withoutRemote = { XDG_CONFIG_HOME: join(folder, 'no-config') }
  let hit = run(withoutRemote)
  // The index has to be left alone for a second before it is trusted to be.
  for (let round = 0; round < 50 && hit.loaded.some((name) => name.endsWith('/command-line.ts')); round++)
    hit = run(withoutRemote)
  expect(hit.said).toContain('hit')
  expect(hit.loaded.filter((name) => !repeating.test(name))).toEqual([])
})
