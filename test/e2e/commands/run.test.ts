import { spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { REPORT_SCHEMA } from '../../../src/cli/run-report-schema.ts'

const MAIN = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url))
let folder: string
let root: string
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'recue-cli-')))
  root = join(folder, 'project')
  mkdirSync(join(root, 'src'), { recursive: true })
  writeFileSync(join(root, 'package.json'), '{"name": "x"}')
  writeFileSync(join(root, 'src', 'a'), 'one\n')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function environment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const { PATH = '', NODE_COMPILE_CACHE } = process.env
  return { PATH, NODE_COMPILE_CACHE, HOME: folder, RECUE_CACHE_DIR: join(folder, 'cache'), ...extra }
}

function recue(args: readonly string[], options: { env?: Record<string, string>; cwd?: string; input?: string } = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    cwd: options.cwd ?? root,
    env: environment(options.env),
    input: options.input ?? '',
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  return { status, stdout, stderr }
}

const BUILD = [
  'run',
  '-i',
  'src',
  '-o',
  'dist',
  '--',
  'sh',
  '-c',
  'mkdir -p dist; cp src/a dist/a; echo built; echo hm >&2',
]

describe.skipIf(process.platform === 'win32')('a reader that goes away', () => {
  /** What gets through, and the exit code of recue in `recue … | head -1`; bounded in time and in what it may write. */
  function piped(args: readonly string[]) {
    const script = 'ulimit -f 500000; timeout 20 "$@" | head -1; echo $PIPESTATUS'
    const { stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', process.execPath, MAIN, ...args], {
      cwd: root,
      env: environment(),
      encoding: 'utf8',
      timeout: 30_000,
    })
    return { lines: stdout.trimEnd().split('\n'), stderr }
  }

  test('ends a command that writes without end, as it would without recue', () => {
    const { lines, stderr } = piped(['run', '--', 'yes'])
    expect(lines).toEqual(['y', '141'])
    expect(stderr).toContain('not kept: the reader of its output went away')
    expect(piped(['run', '--', 'sh', '-c', 'yes; exit 3']).lines).toEqual(['y', '3'])
  })

  test('ends tasks that write without end', () => {
    const tasks = { endless: { command: 'yes' }, other: { command: 'true' } }
    writeFileSync(join(root, 'recue.config.json'), JSON.stringify({ tasks }))
    expect(piped(['run', 'endless', 'other', '--output-style', 'prefixed']).lines).toEqual(['endless: y', '141'])
  })

  test('ends a replay quietly', () => {
    const numbers = ['run', '-q', '--', 'seq', '1', '300000']
    recue(numbers)
    expect(piped(numbers)).toEqual({ lines: ['1', '141'], stderr: '' })
    expect(recue(['run', '--json', '-q', '--', 'seq', '1', '300000']).stdout).toContain('"status": "hit"')
    const [entry] = JSON.parse(recue(['ls', '--json']).stdout) as { key: string }[]
    expect(piped(['show', entry?.key ?? '', '--stdout'])).toEqual({ lines: ['1', '141'], stderr: '' })
  })
})

test('two tasks that claim one place are a mistake that names both', () => {
  const tasks = {
    one: { command: 'touch dist/a.js', outputs: ['dist/*.js'] },
    other: { command: 'touch dist/a.js', outputs: ['dist/a.js'] },
  }
  writeFileSync(join(root, 'recue.config.json'), JSON.stringify({ tasks }))
  const { status, stderr } = recue(['run', 'one'])
  expect(status).toBe(125)
  expect(stderr).toContain('tasks one and other')
  expect(recue(['run', '--', 'true']).status).toBe(125)
})

test('a result spells its outputs relative to the working directory, and says where they are relative to the root', () => {
  mkdirSync(join(root, 'sub'))
  const build = ['run', '-C', 'sub', '-i', '../src', '-o', 'out', '-o', '../top', '--', 'sh', '-c']
  const script = 'mkdir -p out; cp ../src/a out/a; cp ../src/a ../top'
  expect(recue([...build, script])).toMatchObject({ status: 0 })
  const [entry] = JSON.parse(recue(['ls', '--json']).stdout) as { key: string }[]
  const kept = JSON.parse(recue(['show', entry?.key ?? '', '--json']).stdout) as { outputs: { path: string }[] }
  expect(kept.outputs.map(({ path }) => path)).toEqual(['sub/out/a', 'top'])
  rmSync(join(root, 'sub/out'), { recursive: true })
  rmSync(join(root, 'top'))
  expect(recue([...build, script]).stderr).toContain('restored 2 files')
  expect(readFileSync(join(root, 'sub/out/a'), 'utf8')).toBe('one\n')
})

test('recue within a command uses the same cache, and where that is makes no other key', () => {
  mkdirSync(join(root, 'sub'))
  const inner = [process.execPath, MAIN, 'run', '-i', 'src', '--', 'true']
  const outer = ['run', '-i', 'src', '--', 'sh', '-c', `cd sub && ${inner.join(' ').replace('-i src', '-i ../src')}`]
  const relative = recue(outer, { env: { RECUE_CACHE_DIR: '../cache' } })
  expect(relative).toMatchObject({ status: 0 })
  expect(existsSync(join(root, 'cache'))).toBe(false)
  expect((JSON.parse(recue(['ls', '--json']).stdout) as unknown[]).length).toBe(2)
  expect(recue(outer).stderr).toContain('hit')
})

describe('a command line', () => {
  test('runs once, and is replayed with its outputs, streams and exit code', () => {
    const miss = recue(BUILD)
    expect(miss).toMatchObject({ status: 0, stdout: 'built\n' })
    expect(miss.stderr).toMatch(/^hm\nrecue: miss [0-9a-f]{10} \(first run\) · kept 1 file \(4 B\) · [\d.]+ m?s\n$/)
    rmSync(join(root, 'dist'), { recursive: true })
    const hit = recue(BUILD)
    expect(hit).toMatchObject({ status: 0, stdout: 'built\n' })
    expect(hit.stderr).toMatch(/^hm\nrecue: hit [0-9a-f]{10} · restored 1 file \(4 B\) ·.* m?s\n$/)
    expect(readFileSync(join(root, 'dist', 'a'), 'utf8')).toBe('one\n')
  })

  test('says why it missed', () => {
    recue(BUILD)
    writeFileSync(join(root, 'src', 'a'), 'two\n')
    expect(recue(BUILD).stderr).toContain('(src/a changed)')
  })

  test('forced, says whether the result is the one that was kept, and which files are not', () => {
    const same = recue(BUILD)
    expect(same.status).toBe(0)
    expect(recue(['run', '-f', ...BUILD.slice(1)]).stderr).toContain('(it was forced, and the result is as it was)')
    const chance = [
      'run',
      '-f',
      '-i',
      'src',
      '-o',
      'out',
      '--',
      'sh',
      '-c',
      'mkdir out; echo $$ >out/pid; echo 1 >out/a',
    ]
    expect(recue(chance).stderr).toContain('(it was forced)')
    const { stderr } = recue(chance)
    expect(stderr).toContain(
      'another result than the one kept for the same key (out/pid): it reads what is not in its key',
    )
    expect(stderr).not.toContain('as it was')
  })

  test('quiet says nothing of its own; json gives stdout to the report', () => {
    expect(recue(['run', '-q', ...BUILD.slice(1)])).toEqual({ status: 0, stdout: 'built\n', stderr: 'hm\n' })
    const json = recue(['run', '--json', '-q', ...BUILD.slice(1)])
    expect(REPORT_SCHEMA.parse(JSON.parse(json.stdout))).toMatchObject({
      status: 'hit',
      exitCode: 0,
      outputs: ['dist/a'],
    })
    expect(json.stderr).toBe('built\nhm\n')
  })

  test('the report is written where the person is, by the published schema', () => {
    recue(['run', '--report', 'report.json', '-o', 'made', '--', 'sh', '-c', 'echo > made'], { cwd: join(root, 'src') })
    const report = REPORT_SCHEMA.parse(JSON.parse(readFileSync(join(root, 'src', 'report.json'), 'utf8')))
    expect(report).toMatchObject({ status: 'miss', task: null, outputs: ['src/made'] })
  })

  test.each([
    ['full', 'built\n', 'built\n'],
    ['new-only', 'built\n', ''],
    ['errors-only', '', ''],
    ['hash-only', '', ''],
    ['none', '', ''],
  ])('--output-logs=%s', (mode, onMiss, onHit) => {
    const line = ['run', `--output-logs=${mode}`, ...BUILD.slice(1)]
    expect(recue(line).stdout).toBe(onMiss)
    const hit = recue(line)
    expect(hit.stdout).toBe(onHit)
    expect(hit.stderr.includes('recue: hit')).toBe(mode !== 'none')
  })

  test('errors-only shows what a failure printed', () => {
    const failed = recue(['run', '--output-logs=errors-only', '--', 'sh', '-c', 'echo out; echo err >&2; exit 3'])
    expect(failed).toMatchObject({ status: 3, stdout: 'out\n' })
    expect(failed.stderr).toContain('err\n')
  })

  test('standard input is empty, or with --stdin in the key', () => {
    expect(recue(['run', '-q', '--', 'cat'], { input: 'x' }).stdout).toBe('')
    const line = ['run', '--stdin', '--json', '--', 'cat']
    const key = (input: string) => (JSON.parse(recue(line, { input }).stdout) as { key: string }).key
    expect(key('x')).not.toBe(key('y'))
  })

  test('a variable stands for each option, and the flag is stronger', () => {
    recue(BUILD)
    expect(recue(BUILD, { env: { RECUE_FORCE: '1' } }).stderr).toContain('recue: miss')
    expect(recue(['run', '--no-force', ...BUILD.slice(1)], { env: { RECUE_FORCE: '1' } }).stderr).toContain(
      'recue: hit',
    )
  })

  test('a dry run says what would be, and changes nothing', () => {
    const dry = recue(['run', '-n', ...BUILD.slice(1)])
    expect(dry.stdout).toMatch(/^would run sh .* · [0-9a-f]{10} · 2 inputs · writes dist · first run\n$/)
    expect(existsSync(join(root, 'dist'))).toBe(false)
    recue(BUILD)
    expect(recue(['run', '-n', ...BUILD.slice(1)]).stdout).toContain('would replay')
  })

  test('ten megabytes reach a slow reader whole, on the miss and on the hit', async () => {
    const line = ['run', '-q', '--', 'sh', '-c', 'head -c 10000000 /dev/zero']
    for (let run = 0; run < 2; run++) {
      const child = spawn(process.execPath, [MAIN, ...line], { cwd: root, env: environment() })
      let length = 0
      for await (const chunk of child.stdout) {
        length += (chunk as Buffer).length
        await new Promise(setImmediate)
      }
      expect(length).toBe(10_000_000)
    }
  })
})

describe('a mistake is exit 125 with a clear line and no stack', () => {
  test.each([
    [['run'], 'There is nothing to run.'],
    [['run', '--'], 'There is no command after --.'],
    [['run', 'ls'], 'There is no task ls.'],
    [['run', '-i', 'src', 'npm', 'test'], 'put -- before it: recue run … -- npm test'],
    [['run', '-o', 'dist', 'npm', 'run', 'it all'], "put -- before it: recue run … -- npm run 'it all'"],
    [['run', '--forse', '--', 'ls'], 'Did you mean --force?'],
    [['run', '--timeout', 'long', '--', 'ls'], '--timeout: "long" is not a duration.'],
    [['run', '-i', 'nothing', '--', 'ls'], 'nothing'],
    [['run', '-o', '.', '--', 'ls'], 'The output "." is the root.'],
    [['run', '-o', 'src', '-i', 'src', '--', 'ls'], 'src'],
    [['-C', 'nowhere', 'run', '--', 'ls'], '--cwd'],
    [['rnu'], 'Did you mean run?'],
    [['ls', '--', 'x'], 'takes no command after --'],
    [['run', '--interactive', '--stdin', '--', 'ls'], 'exclude each other'],
  ])('%j', (args, message) => {
    const { status, stderr, stdout } = recue(args)
    expect(stderr).toContain(message)
    expect(stderr).toMatch(/^recue: /)
    expect(stderr).not.toMatch(/^\s+at |bug in recue/m)
    expect({ status, stdout }).toEqual({ status: 125, stdout: '' })
  })

  test('a script of package.json that is taken for a task is recognised', () => {
    writeFileSync(join(root, 'package.json'), '{"scripts": {"build": "tsc"}}')
    expect(recue(['run', 'build'])).toMatchObject({
      status: 125,
      stderr: expect.stringContaining('recue run -o OUTPUT -- npm run build'),
    })
    expect(recue(['run', 'toString']).stderr).toContain('There is no task toString.')
    mkdirSync(join(root, 'sub'))
    writeFileSync(join(root, 'sub/package.json'), '{"scripts": {"check": "tsc"}}')
    expect(recue(['run', '--root', root, 'check'], { cwd: join(root, 'sub') }).stderr).toContain('npm run check')
    writeFileSync(join(root, 'sub/package.json'), '{"scripts":')
    expect(recue(['run', '--root', root, 'check'], { cwd: join(root, 'sub') }).stderr).toContain('no task check.')
  })

  test('not found is 127, not executable is 126', () => {
    expect(recue(['run', '--', 'no-such-program']).status).toBe(127)
    expect(recue(['run', '--', './package.json']).status).toBe(126)
  })

  test('a broken config is named with line and column, for every command that reads it', () => {
    writeFileSync(join(root, 'recue.config.json'), '{\n  "tasks": [\n')
    for (const args of [BUILD, ['config'], ['run', 'a']]) {
      expect(recue(args)).toMatchObject({ status: 125, stderr: expect.stringMatching(/recue\.config\.json:\d+:\d+: /) })
    }
  })
})

describe('a fault of the cache is a warning, and the command runs', () => {
  test('a file where the folder should be', () => {
    writeFileSync(join(folder, 'cache'), '')
    const run = recue(['run', '--', 'sh', '-c', 'echo ran; exit 4'])
    expect(run).toMatchObject({ status: 4, stdout: 'ran\n' })
    expect(run.stderr).toContain('recue: warning: ')
  })

  test('switched off, nothing is made', () => {
    expect(recue(['run', '--cache=off', '--', 'echo', 'ran'])).toMatchObject({ status: 0, stdout: 'ran\n' })
    expect(existsSync(join(folder, 'cache'))).toBe(false)
  })
})

test('the quota holds for the runs of short commands', () => {
  for (let i = 0; i < 5; i++) {
    const args = [
      'run',
      '--max-cache-size=2MB',
      `--salt=${i}`,
      '-o',
      'made',
      '--',
      'sh',
      '-c',
      'head -c 1000000 /dev/urandom > made',
    ]
    expect(recue(args).stderr).toContain('kept 1 file')
  }
  const cache = join(folder, 'cache')
  const files = readdirSync(cache, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const bytes = files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
  expect(bytes).toBeLessThan(2_500_000)
})

describe('tasks', () => {
  const config = (tasks: unknown, settings = {}) =>
    writeFileSync(join(root, 'recue.config.json'), JSON.stringify({ ...settings, tasks }))

  test('run after what they need, with their names before their lines, and are replayed', () => {
    config({
      gen: { command: 'mkdir -p gen; cp src/a gen/a; echo made', inputs: ['src'], outputs: ['gen'] },
      build: { command: 'cat gen/a', inputs: ['gen'], dependsOn: ['gen'] },
    })
    expect(recue(['run', 'build'])).toMatchObject({ status: 0, stdout: 'gen: made\nbuild: one\n' })
    rmSync(join(root, 'gen'), { recursive: true })
    const hit = recue(['run', 'build'])
    expect(hit).toMatchObject({ status: 0, stdout: 'gen: made\nbuild: one\n' })
    expect(hit.stderr).toContain('2 tasks · 2 hits')
  })

  test('what fails stops what needs it, and its exit code is the whole one', () => {
    config({ a: { command: 'exit 7' }, b: { command: 'echo b', dependsOn: ['a'] }, c: { command: 'echo c' } })
    const run = recue(['run', 'b', 'c', '--continue', '--json', '-q'])
    expect(run.status).toBe(7)
    expect(REPORT_SCHEMA.parse(JSON.parse(run.stdout))).toMatchObject({ notRun: ['b'], exitCode: 7 })
  })

  test('one task alone has its output to itself, takes words after --, and local programs', () => {
    mkdirSync(join(root, 'node_modules', '.bin'), { recursive: true })
    writeFileSync(join(root, 'node_modules', '.bin', 'tool'), '#!/bin/sh\necho tool "$@"\n', { mode: 0o755 })
    config({ a: { command: 'tool', inputs: ['src'] } })
    expect(recue(['run', 'a', '--', "it's", 'b']).stdout).toBe("tool it's b\n")
  })

  test('what one task makes is not held against another that runs meanwhile', () => {
    config({
      maker: {
        command: 'mkdir -p out; echo > out/x; while [ ! -e out/seen ]; do :; done',
        inputs: ['src'],
        outputs: ['out'],
      },
      looker: { command: 'while [ ! -e out/x ]; do :; done; echo > out/seen', inputs: ['src'] },
    })
    expect(recue(['run', 'maker', 'looker', '-j', '2']).stderr).not.toContain('not kept')
  })

  test('without inputs of its own, a task is another one when what it needs is', () => {
    // Ignored, so only the key of `gen` tells of it.
    writeFileSync(join(root, '.gitignore'), 'hidden\n')
    writeFileSync(join(root, 'hidden'), 'a')
    config({
      gen: { command: 'cat hidden', inputs: ['hidden'] },
      test: { command: 'echo tested', dependsOn: ['gen'], cwd: 'src' },
    })
    recue(['run', 'test'])
    expect(recue(['run', 'test']).stderr).toContain('2 hits')
    writeFileSync(join(root, 'hidden'), 'b')
    expect(recue(['run', 'test']).stderr).toContain('0 hits')
  })

  test('an interruption reaches what runs, and nothing new is begun', async () => {
    config({
      a: { command: 'echo ready; exec sleep 60' },
      b: { command: 'echo b', dependsOn: ['a'] },
      c: { command: 'echo c' },
    })
    const args = [MAIN, 'run', 'a', 'b', 'c', '-j', '1', '--continue']
    const child = spawn(process.execPath, args, { cwd: root, env: environment() })
    const ended = new Promise<number | null>((end) => child.once('close', (code) => end(code)))
    let stdout = ''
    for await (const chunk of child.stdout) {
      stdout += String(chunk)
      if (stdout.includes('ready')) child.kill('SIGTERM')
    }
    expect({ code: await ended, stdout }).toEqual({ code: 143, stdout: 'a: ready\n' })
  })

  test('a command that was interrupted is not said to lack variables, one that failed is', async () => {
    const env = { ...environment({ MINE: 'x' }), NODE_COMPILE_CACHE: undefined }
    const says = async (script: string) => {
      const child = spawn(process.execPath, [MAIN, 'run', '-i', 'src', '--', 'sh', '-c', script], { cwd: root, env })
      let said = ''
      child.stderr.on('data', (chunk) => {
        said += chunk
      })
      child.stdout.once('data', () => child.kill('SIGTERM'))
      await new Promise((end) => child.once('close', end))
      return said
    }
    expect(await says('exit 3')).toContain('1 variable was withheld')
    const interrupted = await says('echo ready; exec sleep 60')
    expect(interrupted).toContain('interrupted')
    expect(interrupted).not.toContain('withheld')
  })

  test('a config that is code is run for tasks only', () => {
    writeFileSync(
      join(root, 'recue.config.mjs'),
      'console.error("was run"); export default { tasks: { a: { command: "true" } } }',
    )
    expect(recue(['run', 'a']).stderr).toContain('was run')
    expect(recue(['stats']).stderr).not.toContain('was run')
  })
})

test('recue config names the origin of each value', () => {
  mkdirSync(join(folder, '.config', 'recue'), { recursive: true })
  writeFileSync(join(folder, '.config', 'recue', 'config.json'), '{"ttl": "7d", "outputLogs": "none"}')
  writeFileSync(join(root, 'recue.config.json'), '{"outputLogs": "new-only"}')
  const { stdout } = recue(['config', '--json'], { env: { RECUE_TIMEOUT: '3s' } })
  const { settings } = JSON.parse(stdout) as { settings: Record<string, { value: unknown; origin: string }> }
  expect(settings).toMatchObject({
    ttl: { value: 604_800_000, origin: 'user' },
    outputLogs: { value: 'new-only', origin: 'project' },
    timeout: { value: 3000, origin: 'environment' },
    clean: { value: true, origin: 'default' },
    // What is in force, where the machine decides.
    maxCacheSize: { value: expect.any(Number), origin: 'default' },
  })
  const text = recue(['config'], { env: { RECUE_TIMEOUT: '3s' } }).stdout
  expect(text).toMatch(/^maxCacheSize +\d[\d.]* [kMGT]?B +default$/m)
  expect(text).toMatch(/^concurrency +\d+ +default$/m)
  expect(text).toMatch(/^timeout +3\.0 s +RECUE_TIMEOUT$/m)
})

test('the environment list has names and never values', () => {
  const { stdout } = recue(['config', '--env'], { env: { MY_TOKEN: 'hush-hush', TZ: 'UTC-secret' } })
  expect(stdout).toContain('MY_TOKEN')
  expect(stdout).not.toMatch(/hush-hush|UTC-secret/)
})

test('a checkout has no say in what recue loads or passes on', () => {
  writeFileSync(join(root, '.env'), 'RECUE_FORCE=1\nLEAK=yes\n')
  writeFileSync(join(root, 'tsconfig.json'), '{ "compilerOptions": { broken')
  writeFileSync(join(root, 'bunfig.toml'), 'preload = ["./evil.ts"]')
  expect(recue(['run', '-q', '-e', 'LEAK', '--', 'sh', '-c', 'echo "[$LEAK]"']).stdout).toBe('[]\n')
})
