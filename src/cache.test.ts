import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ActionDescription } from './action/describe-action.ts'
import { type Cache, type CacheRunOptions, openCache } from './cache.ts'
import { DEFAULT_SCOPE } from './store/contracts.ts'

let folder: string
let project: string
let cache: Cache
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'recue-cache-'))
  project = join(folder, 'project')
  mkdirSync(join(project, 'src'), { recursive: true })
  writeFileSync(join(project, 'src/a.txt'), 'one\n')
  cache = await openCache({ cacheDir: join(folder, 'cache') })
})
afterEach(async () => {
  await cache.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Runs a shell script with `src` as its inputs; what it counts in `../count` is not in the root. */
async function run(shell: string, more: Partial<ActionDescription> = {}, options: CacheRunOptions = {}) {
  const heard: { stream: 'stdout' | 'stderr'; text: string }[] = []
  const notices: string[] = []
  const hear = (stream: 'stdout' | 'stderr') => (chunk: Uint8Array) => {
    heard.push({ stream, text: Buffer.from(chunk).toString('latin1') })
  }
  const outcome = await cache.run(
    { shell, cwd: project, root: project, inputs: ['src'], implicitInputs: false, ...more },
    {
      sink: { stdout: hear('stdout'), stderr: hear('stderr') },
      notice: (notice) => notices.push(notice.kind === 'warning' ? notice.text : notice.kind),
      ...options,
    },
  )
  const of = (name: string) => heard.filter(({ stream }) => stream === name).map(({ text }) => text)
  return { ...outcome, heard, notices, stdout: of('stdout').join(''), stderr: of('stderr').join('') }
}

function runs(): number {
  return existsSync(join(folder, 'count')) ? readFileSync(join(folder, 'count'), 'utf8').length : 0
}

const COUNT = 'printf x >> ../count;'

test('a result spells its outputs relative to the working directory', async () => {
  mkdirSync(join(project, 'sub'))
  const more = { cwd: join(project, 'sub'), inputs: ['../src'], outputs: ['out', '../top'] }
  const { key } = await run('mkdir -p out; echo a > out/a; echo b > ../top', more)
  const found = key && (await cache.actions.get(DEFAULT_SCOPE, key))
  expect(found).toMatchObject({
    result: { outputDirectories: [{ path: 'out' }], outputFiles: [{ path: '../top' }] },
  })
})

describe('what was in an output before', () => {
  const COPY = 'mkdir -p dist; cat src/a.txt > dist/b'
  const dist = (name: string) => join(project, 'dist', name)

  test('and is not touched by the command stays, and the result is not kept', async () => {
    mkdirSync(join(project, 'dist'))
    for (const name of ['mine.1', 'mine.2', 'mine.3', 'mine.4', 'b']) writeFileSync(dist(name), name)
    const one = await run(COPY, { outputs: ['dist'] })
    expect(one).toMatchObject({ status: 'uncached', exitCode: 0 })
    expect(one.reason).toMatch(
      /^dist\/mine\.1, dist\/mine\.2, dist\/mine\.3 and 1 more were .*remove them, or .*--no-clean$/,
    )
    expect(readFileSync(dist('mine.4'), 'utf8')).toBe('mine.4')
    for (const name of ['mine.1', 'mine.2', 'mine.3', 'mine.4']) rmSync(dist(name))
    expect(await run(COPY, { outputs: ['dist'] })).toMatchObject({ status: 'miss', outputs: ['dist/b'] })
  })

  test('is taken in when there is no clean start', async () => {
    mkdirSync(join(project, 'dist'))
    writeFileSync(dist('mine'), 'mine')
    const taken = await run(COPY, { outputs: ['dist'] }, { clean: false })
    expect(taken).toMatchObject({ status: 'miss', outputs: ['dist/b', 'dist/mine'] })
  })

  test.each([
    ['failed', 'exit 1'],
    ['was interrupted', 'kill -INT $$'],
    ['changed its inputs', 'echo two > src/a.txt'],
  ])('is put aside when a run that %s made it, and the next result is kept', async (_, end) => {
    const shell = `mkdir -p dist/sub; cat src/a.txt > dist/b; test -e src/fixed || { echo s > dist/sub/stale; ${end}; }`
    for (let i = 0; i < 2; i++) {
      writeFileSync(join(project, 'src/a.txt'), `one ${i}`)
      const unkept = await run(shell, { outputs: ['dist'] })
      expect(unkept.status).toBe('uncached')
      expect(unkept.notices).not.toContain('trashed')
      expect(existsSync(dist('sub/stale'))).toBe(true)
    }
    writeFileSync(join(project, 'src/fixed'), '')
    const fixed = await run(shell, { outputs: ['dist'] })
    expect(fixed).toMatchObject({ status: 'miss', outputs: ['dist/b'], notices: ['started', 'trashed'] })
    expect(existsSync(dist('sub'))).toBe(true)
    expect(existsSync(dist('sub/stale'))).toBe(false)
    expect((await run(shell, { outputs: ['dist'] }, { force: true })).notices).toEqual(['started'])
    expect(cache.records.names('leftovers', '')).toEqual([])
  })

  test('and was made by a run that was not kept stays without a clean start', async () => {
    const shell = 'mkdir -p dist; test -e src/fixed || { echo s > dist/stale; exit 1; }; echo b > dist/b'
    await run(shell, { outputs: ['dist'] })
    writeFileSync(join(project, 'src/fixed'), '')
    const taken = await run(shell, { outputs: ['dist'] }, { clean: false })
    expect(taken).toMatchObject({ status: 'miss', outputs: ['dist/b', 'dist/stale'] })
  })

  test('and changed after recue made it counts as not its own', async () => {
    await run(`${COPY}; echo c > dist/c`, { outputs: ['dist'] })
    writeFileSync(dist('c'), 'edited')
    const again = await run(COPY, { outputs: ['dist'] })
    expect(again).toMatchObject({ status: 'uncached', reason: expect.stringContaining('dist/c was among the outputs') })
    expect(readFileSync(dist('c'), 'utf8')).toBe('edited')
    expect(await run(`${COPY}; echo own > dist/c`, { outputs: ['dist'] })).toMatchObject({ status: 'miss' })
  })

  test('is gone before the command starts when recue made it', async () => {
    await run(`${COPY}; echo c > dist/c`, { outputs: ['dist'] })
    expect(await run(COPY, { outputs: ['dist'] })).toMatchObject({ status: 'miss', outputs: ['dist/b'] })
    expect(existsSync(dist('c'))).toBe(false)
  })

  test('as a file or an empty folder that the command did not make is no output of its', async () => {
    writeFileSync(join(project, 'out.js'), 'old')
    expect(await run('true', { outputs: ['out.js'] })).toMatchObject({ status: 'uncached' })
    mkdirSync(join(project, 'dist'))
    expect(await run('true', { outputs: ['dist'] })).toMatchObject({ status: 'uncached' })
    expect(await run(COPY, { outputs: ['dist'] })).toMatchObject({ status: 'miss' })
  })
})

describe('a command', () => {
  test('runs once, and is replayed with its files, output and exit code', async () => {
    const script = `${COUNT} mkdir -p dist; cat src/a.txt > dist/b; chmod +x dist/b; echo out; echo err >&2`
    const first = await run(script, { outputs: ['dist'] })
    expect(first).toMatchObject({ status: 'miss', exitCode: 0, stdout: 'out\n', stderr: 'err\n', outputs: ['dist/b'] })
    rmSync(join(project, 'dist'), { recursive: true })
    const second = await run(script, { outputs: ['dist'] })
    expect(second).toMatchObject({ status: 'hit', exitCode: 0, stdout: 'out\n', stderr: 'err\n', outputs: ['dist/b'] })
    expect(second).toMatchObject({ source: 'local', reason: undefined, written: 1 })
    expect(readFileSync(join(project, 'dist/b'), 'utf8')).toBe('one\n')
    expect(statSync(join(project, 'dist/b')).mode & 0o100).toBe(0o100)
    expect(runs()).toBe(1)
  })

  test('whose outputs are as they should be leaves them alone', async () => {
    const script = 'mkdir -p dist; cp src/a.txt dist/b'
    await run(script, { outputs: ['dist'] })
    const before = statSync(join(project, 'dist/b'))
    expect(await run(script, { outputs: ['dist'] })).toMatchObject({ status: 'hit', written: 0 })
    expect(statSync(join(project, 'dist/b'))).toMatchObject({ mtimeMs: before.mtimeMs, ino: before.ino })
  })

  test('runs again when an input changed, and is found again when it is changed back', async () => {
    await run(COUNT)
    writeFileSync(join(project, 'src/a.txt'), 'two\n')
    expect(await run(COUNT)).toMatchObject({ status: 'miss' })
    writeFileSync(join(project, 'src/a.txt'), 'one\n')
    expect(await run(COUNT)).toMatchObject({ status: 'hit' })
    expect(runs()).toBe(2)
  })

  test('is kept for the next one that opens the cache', async () => {
    await run(COUNT)
    await cache.close()
    cache = await openCache({ cacheDir: join(folder, 'cache') })
    expect(await run(COUNT)).toMatchObject({ status: 'hit' })
  })

  test('starts with its old outputs gone, unless asked not to clean', async () => {
    const script = 'mkdir -p dist; ls dist; cp src/a.txt dist/$(cat src/a.txt)'
    await run(script, { outputs: ['dist'] })
    writeFileSync(join(project, 'src/a.txt'), 'two\n')
    expect(await run(script, { outputs: ['dist'] })).toMatchObject({ stdout: '', outputs: ['dist/two'] })
    writeFileSync(join(project, 'src/a.txt'), 'three\n')
    expect(await run(script, { outputs: ['dist'] }, { clean: false })).toMatchObject({ stdout: 'two\n' })
  })

  test('whose output is replayed byte for byte, in the order received', async () => {
    const script = 'for i in 1 2 3; do printf "o$i\\0\\377"; sleep 0.02; printf "e$i\\0\\376" >&2; sleep 0.02; done'
    const first = await run(script)
    const second = await run(script)
    expect(second.status).toBe('hit')
    expect(second.heard).toEqual(first.heard)
    expect(second.heard.map(({ text }) => text[0]).join('')).toBe('oeoeoe')
  })

  test('with 20 MB of output is captured and replayed in bounded pieces', async () => {
    const script = 'head -c 20000000 /dev/zero; echo end >&2'
    expect(await run(script)).toMatchObject({ status: 'miss' })
    let bytes = 0
    let longest = 0
    let isWaiting = false
    const outcome = await cache.run(
      { shell: script, cwd: project, root: project, inputs: ['src'], implicitInputs: false },
      {
        sink: {
          async stdout(chunk) {
            expect(isWaiting).toBe(false)
            isWaiting = true
            await new Promise((wake) => setImmediate(wake))
            isWaiting = false
            bytes += chunk.byteLength
            longest = Math.max(longest, chunk.byteLength)
          },
          stderr() {},
        },
      },
    )
    expect(outcome.status).toBe('hit')
    expect(bytes).toBe(20_000_000)
    expect(longest).toBeLessThan(4 << 20)
  })
})

describe('what is not kept', () => {
  test('a failure, unless asked for', async () => {
    expect(await run(`${COUNT} exit 3`)).toMatchObject({ status: 'uncached', exitCode: 3 })
    expect(await run(`${COUNT} exit 3`, {}, { cacheFailures: true })).toMatchObject({ status: 'miss', exitCode: 3 })
    expect(await run(`${COUNT} exit 3`, {}, { cacheFailures: true })).toMatchObject({ status: 'hit', exitCode: 3 })
    expect(await run(`${COUNT} exit 3`)).toMatchObject({ status: 'uncached', exitCode: 3 })
    expect(runs()).toBe(3)
  })

  test('a death by signal', async () => {
    expect(await run('kill -9 $$', {}, { cacheFailures: true })).toMatchObject({ status: 'uncached', exitCode: 137 })
  })

  test('what a timeout ended', async () => {
    const end = await run('sleep 30', {}, { timeoutMs: 200 })
    expect(end).toMatchObject({ status: 'uncached', exitCode: 124, reason: 'the command was ended after 200 ms' })
  })

  test('a command that did not make its output', async () => {
    const end = await run('true', { outputs: ['dist'] })
    expect(end).toMatchObject({ status: 'uncached', exitCode: 0, reason: 'the command did not make dist' })
  })

  test('a command whose input changed meanwhile', async () => {
    const end = await run('echo more >> src/a.txt')
    expect(end).toMatchObject({ status: 'uncached', reason: 'the input src/a.txt changed while the command ran' })
  })

  test('a command that made files and declared none: the line says which output to declare', async () => {
    const end = await run('mkdir -p dist/x; echo 1 > dist/a; echo 2 > dist/x/b')
    expect(end.status).toBe('uncached')
    expect(end.reason).toMatch(/dist\/a.*-o dist$/)
  })

  test('a command whose background process still writes', async () => {
    const end = await run('sleep 20 & echo $! > ../pid')
    expect(end).toMatchObject({ status: 'uncached', exitCode: 0 })
    expect(end.reason).toContain('background')
    process.kill(Number(readFileSync(join(folder, 'pid'), 'utf8')))
  })

  test('an interactive run, or one with the cache switched off', async () => {
    expect(await run('true', {}, { interactive: true })).toMatchObject({ status: 'bypassed' })
    expect(await run('echo hi', {}, { read: false, write: false })).toMatchObject({
      status: 'bypassed',
      stdout: 'hi\n',
    })
  })

  test('a run that must not write', async () => {
    expect(await run(COUNT, {}, { write: false })).toMatchObject({ status: 'uncached' })
    expect(await run(COUNT)).toMatchObject({ status: 'miss' })
    expect(await run(COUNT, {}, { write: false })).toMatchObject({ status: 'hit' })
  })
})

describe('notices', () => {
  test('files made outside the outputs are named once, and the result is kept', async () => {
    const end = await run('mkdir dist; echo 1 > dist/a; echo 2 > stray', { outputs: ['dist'] })
    expect(end.status).toBe('miss')
    expect(end.notices.filter((text) => text.includes('stray'))).toHaveLength(1)
  })

  test('a failure says how many variables were withheld', async () => {
    const environment = { PATH: process.env.PATH, SECRET_A: '1', SECRET_B: '2' }
    const end = await run('exit 1', { environment })
    expect(end.notices.join()).toContain('2 variables were withheld')
    expect((await run('exit 0', { environment })).notices.join()).not.toContain('withheld')
  })

  test('another result for the same key is told', async () => {
    const script = 'mkdir -p dist; date +%s%N > dist/a'
    await run(script, { outputs: ['dist'] })
    const again = await run(script, { outputs: ['dist'] }, { force: true })
    expect(again.status).toBe('miss')
    expect(again.notices.join()).toContain('another result')
  })
})

describe('colours', () => {
  const script = 'if [ -n "$FORCE_COLOR" ]; then printf "\\033[31mred\\033[0m\\n"; else echo plain; fi'
  const terminal = { columns: 80, colours: true }

  test('that were there because of a terminal are dropped from a replay when asked', async () => {
    expect(await run(script, {}, { terminal })).toMatchObject({ status: 'miss', stdout: '\x1b[31mred\x1b[0m\n' })
    expect(await run(script, {}, { terminal })).toMatchObject({ status: 'hit', stdout: '\x1b[31mred\x1b[0m\n' })
    expect(await run(script, {}, { stripForcedColours: true })).toMatchObject({ status: 'hit', stdout: 'red\n' })
  })

  test('that the command made by itself stay', async () => {
    const own = 'printf "\\033[31mred\\033[0m\\n"'
    await run(own)
    expect(await run(own, {}, { stripForcedColours: true })).toMatchObject({ stdout: '\x1b[31mred\x1b[0m\n' })
  })

  test('are not asked for under NO_COLOR', async () => {
    const environment = { PATH: process.env.PATH, NO_COLOR: '1' }
    expect(await run(script, { environment }, { terminal })).toMatchObject({ stdout: 'plain\n' })
  })
})

describe('a reader', () => {
  const closed = async () => {
    throw Object.assign(new Error('closed'), { code: 'EPIPE' })
  }

  test('that goes away is noticed by a command that goes on writing, as without recue; nothing is kept of it', async () => {
    const gone = { sink: { stdout: closed, stderr: closed } }
    const { status, exitCode } = await run('exec yes', {}, gone)
    // By SIGPIPE, or with the program's own code where the signal is ignored from above.
    expect([status, [1, 141].includes(exitCode)]).toEqual(['uncached', true])
  })

  test('that goes away does not keep a hit from restoring', async () => {
    const script = 'echo 1; mkdir -p dist; echo 3 > dist/a'
    await run(script, { outputs: ['dist'] })
    rmSync(join(project, 'dist'), { recursive: true })
    const again = await run(script, { outputs: ['dist'] }, { sink: { stdout: closed, stderr: closed } })
    expect(again).toMatchObject({ status: 'hit', exitCode: 141, written: 1 })
  })

  test('that fails otherwise is told so', async () => {
    const broken = {
      sink: {
        stdout() {
          throw new RangeError('a bug')
        },
        stderr() {},
      },
    }
    await expect(run('echo 1', {}, broken)).rejects.toThrow(RangeError)
  })
})

describe('mistakes and faults', () => {
  test('a command that is not there', async () => {
    await expect(run('', { shell: undefined as never, command: ['no-such-program'] })).rejects.toMatchObject({
      code: 'command.not-found',
    })
  })

  test('a line given as a command', async () => {
    await expect(cache.run({ command: 'make all' as never })).rejects.toMatchObject({ code: 'usage' })
  })

  test('an input that matches nothing', async () => {
    await expect(run('true', { inputs: ['nothing/*'] })).rejects.toMatchObject({ code: 'input.no-match' })
  })

  test('an abort ends the command and rejects with the reason', async () => {
    const abort = new AbortController()
    const going = run('echo $$ > ../pid; sleep 30', {}, { signal: abort.signal })
    for (let i = 0; i < 400 && !existsSync(join(folder, 'pid')); i++) await new Promise((wake) => setTimeout(wake, 10))
    abort.abort(new Error('enough'))
    await expect(going).rejects.toThrow('enough')
  })

  test('a cache that cannot keep the description of a failed command either: its exit code stands', async () => {
    rmSync(join(folder, 'cache/journal'), { recursive: true, force: true })
    writeFileSync(join(folder, 'cache/journal'), 'a file where the journal should be')
    expect(await run('echo hi; exit 3')).toMatchObject({ status: 'uncached', exitCode: 3, stdout: 'hi\n' })
  })

  test('a cache that cannot be written any more: one warning, and the command runs', async () => {
    chmodSync(join(folder, 'cache'), 0o500)
    try {
      const end = await run('mkdir -p dist; echo hi | tee dist/a', { outputs: ['dist'] })
      expect(end).toMatchObject({ exitCode: 0, stdout: 'hi\n' })
    } finally {
      chmodSync(join(folder, 'cache'), 0o700)
    }
  })
})

describe('a function', () => {
  test('runs once for its inputs and arguments, with its value and its files', async () => {
    let calls = 0
    const work = (n: number) => ({
      name: 'bundle',
      args: { n },
      cwd: project,
      root: project,
      inputs: ['src'],
      outputs: ['dist'],
      fn: async () => {
        calls++
        mkdirSync(join(project, 'dist'), { recursive: true })
        writeFileSync(join(project, 'dist/made'), `made ${n}`)
        return { n, at: [1, 'two'] }
      },
    })
    const first = await cache.run(work(1))
    expect(first).toMatchObject({
      value: { n: 1, at: [1, 'two'] },
      outcome: { status: 'miss', outputs: ['dist/made'] },
    })
    rmSync(join(project, 'dist'), { recursive: true })
    const second = await cache.run(work(1))
    expect(second).toMatchObject({ value: { n: 1, at: [1, 'two'] }, outcome: { status: 'hit' } })
    expect(readFileSync(join(project, 'dist/made'), 'utf8')).toBe('made 1')
    expect(calls).toBe(1)
    await cache.run(work(2))
    expect(calls).toBe(2)
  })

  test('that throws is not kept, and its error is passed on', async () => {
    let calls = 0
    const fn = () => {
      calls++
      throw new Error(`no ${calls}`)
    }
    await expect(cache.run({ name: 'fails', cwd: project, fn })).rejects.toThrow('no 1')
    await expect(cache.run({ name: 'fails', cwd: project, fn })).rejects.toThrow('no 2')
  })

  test('does not answer for files that others make in the root', async () => {
    const fn = () => writeFileSync(join(project, 'other'), 'x')
    expect((await cache.run({ name: 'beside', cwd: project, root: project, fn })).outcome.status).toBe('miss')
  })

  test('may give nothing', async () => {
    const work = { name: 'nothing', cwd: project, fn: (): unknown => undefined }
    expect((await cache.run(work)).value).toBeUndefined()
    expect(await cache.run(work)).toMatchObject({ value: undefined, outcome: { status: 'hit' } })
  })
})

describe('memoize', () => {
  test('shares calls under way, keeps what is returned, and not what is thrown', async () => {
    let calls = 0
    const square = cache.memoize('square', async (n: number) => {
      calls++
      if (n < 0) throw new RangeError('negative')
      return n * n
    })
    expect(await Promise.all([square(4), square(4), square(5)])).toEqual([16, 16, 25])
    expect(calls).toBe(2)
    expect(await square(4)).toBe(16)
    expect(calls).toBe(2)
    await expect(square(-1)).rejects.toThrow(RangeError)
    await expect(square(-1)).rejects.toThrow(RangeError)
    expect(calls).toBe(4)
  })

  test('another version is another function; what is older than its time is called again', async () => {
    let calls = 0
    const fn = async () => ++calls
    expect(await cache.memoize('f', fn, { version: '1' })()).toBe(1)
    expect(await cache.memoize('f', fn, { version: '1' })()).toBe(1)
    expect(await cache.memoize('f', fn, { version: '2' })()).toBe(2)
    expect(await cache.memoize('f', fn, { version: '1', ttl: -1 })()).toBe(3)
    expect(await cache.memoize('f', fn, { version: '1', ttl: '1d' })()).toBe(3)
  })

  test('refuses arguments that cannot be part of a key', async () => {
    const f = cache.memoize('f', async (given: unknown) => given === undefined)
    await expect(f(new Map())).rejects.toMatchObject({ code: 'usage' })
    expect(await f(undefined)).toBe(true)
  })
})

test('every run is in the ledger and in the statistics', async () => {
  await run(COUNT)
  await run(COUNT)
  await run('exit 1')
  const records = [...cache.ledger.records()]
  expect(records.map(({ status }) => status)).toEqual(['miss', 'hit', 'uncached'])
  expect(records[0]?.thing).toBe(records[1]?.thing)
  expect(await cache.stats()).toMatchObject({ runs: 3, hits: 1, misses: 1, uncached: 1 })
})

test('a key can be asked for, looked up and saved by itself', async () => {
  const description = { shell: 'echo hi', cwd: project, root: project, inputs: ['src'], implicitInputs: false }
  const keyed = await cache.key(description)
  if (keyed.kind !== 'keyed') throw new Error(keyed.reason)
  expect((await cache.get(keyed.action.key)).kind).toBe('miss')
  const { key } = await cache.run(description)
  expect(key).toEqual(keyed.action.key)
  const found = await cache.get(keyed.action.key)
  if (found.kind !== 'hit') throw new Error(found.why)
  expect(await cache.save(keyed.action.key, found.result)).toBe('same')
})

describe('many runs at once', () => {
  test('of one command in one process run it once', async () => {
    const ends = await Promise.all(Array.from({ length: 5 }, () => run(`${COUNT} sleep 0.2; echo hi`)))
    expect(runs()).toBe(1)
    expect(ends.map(({ status }) => status).sort()).toEqual(['hit', 'hit', 'hit', 'hit', 'miss'])
    expect(ends.map(({ stdout }) => stdout)).toEqual(Array(5).fill('hi\n'))
    expect(ends.filter(({ notices }) => notices.includes('waiting')).length).toBe(4)
  })

  test('that write the same outputs are one after the other', async () => {
    const script = (n: number) =>
      `test ! -e ../busy && touch ../busy; mkdir -p dist; sleep 0.1; echo ${n} > dist/a; rm ../busy`
    const ends = await Promise.all([1, 2, 3].map((n) => run(`set -e; ${script(n)}`, { outputs: ['dist'] })))
    expect(ends.map(({ status, exitCode }) => [status, exitCode])).toEqual(Array(3).fill(['miss', 0]))
  })

  test('a restore waits for the run that writes the same outputs', async () => {
    const quick = 'mkdir -p dist; echo quick > dist/a'
    await run(quick, { outputs: ['dist'] })
    const slow = run('mkdir -p dist; touch ../started; sleep 0.5; echo slow > dist/a', { outputs: ['dist'] })
    for (let i = 0; i < 400 && !existsSync(join(folder, 'started')); i++)
      await new Promise((wake) => setTimeout(wake, 10))
    const restored = await run(quick, { outputs: ['dist'] })
    expect(restored.status).toBe('hit')
    expect(restored.notices).toContain('waiting')
    expect((await slow).status).toBe('miss')
    expect(readFileSync(join(project, 'dist/a'), 'utf8')).toBe('quick\n')
  })

  test('a wait that is long enough ends in a run of its own, or in an error where the outputs are the same', async () => {
    const script = `${COUNT} touch ../started; sleep 1`
    const first = run(script)
    for (let i = 0; i < 400 && !existsSync(join(folder, 'started')); i++)
      await new Promise((wake) => setTimeout(wake, 10))
    expect(await run(script, {}, { waitMs: 50 })).toMatchObject({ status: 'miss' })
    await first
    expect(runs()).toBe(2)
    const writes = 'mkdir -p dist; touch ../writes; sleep 1; echo 1 > dist/a'
    const writing = run(writes, { outputs: ['dist'] })
    for (let i = 0; i < 400 && !existsSync(join(folder, 'writes')); i++)
      await new Promise((wake) => setTimeout(wake, 10))
    await expect(run('mkdir dist', { outputs: ['dist'] }, { waitMs: 50 })).rejects.toMatchObject({
      code: 'wait.timed-out',
    })
    await writing
  })
})

test('output that is gone from the store is a miss, and nothing of it is shown', async () => {
  const script = `${COUNT} head -c 3000000 /dev/urandom | base64; mkdir -p dist; echo 1 > dist/a`
  const first = await run(script, { outputs: ['dist'] })
  if (first.key === undefined) throw new Error('no key')
  const found = await cache.get(first.key)
  if (found.kind !== 'hit' || found.result.stdoutDigest === undefined) throw new Error('no large output')
  const { hash } = found.result.stdoutDigest
  const path = join(folder, 'cache/blobs', hash.slice(0, 2))
  rmSync(path, { recursive: true })
  const second = await run(script, { outputs: ['dist'] })
  expect(second).toMatchObject({ status: 'miss', exitCode: 0 })
  expect(second.stdout.length).toBe(first.stdout.length)
  expect(runs()).toBe(2)
})
