import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Runtime, runtimes, type Sandbox, sandbox } from './runtimes.ts'

/** What a command can do with its output without recue, it can do under it; and a replay says the same. */
const scripts: readonly { name: string; script: string; stdout: string; stderr: string; exitCode?: number }[] = [
  { name: 'opens /dev/stderr', script: 'echo one; echo two > /dev/stderr', stdout: 'one\n', stderr: 'two\n' },
  {
    name: 'opens and appends to /dev/stdout',
    script: 'echo one > /dev/stdout; echo two >> /dev/stdout; echo three | tee /dev/stderr | cat > /dev/stdout',
    stdout: 'one\ntwo\nthree\n',
    stderr: 'three\n',
  },
  {
    name: 'opens /proc/self/fd',
    script: 'echo a > /proc/self/fd/1; echo b > /proc/self/fd/2',
    stdout: 'a\n',
    stderr: 'b\n',
  },
  {
    name: 'closes both early',
    script: 'echo a; exec >&- 2>&-; sleep 0.1; exit 3',
    stdout: 'a\n',
    stderr: '',
    exitCode: 3,
  },
  {
    name: 'closes one early',
    script: 'exec >&-; sleep 0.1; echo still >&2; exit 4',
    stdout: '',
    stderr: 'still\n',
    exitCode: 4,
  },
  { name: 'is ended by a signal', script: 'echo a; kill -9 $$', stdout: 'a\n', stderr: '', exitCode: 137 },
]

for (const runtime of runtimes) {
  describe(`on ${runtime.name}, a command that`, () => {
    test.each(scripts)('$name', async ({ script, stdout, stderr, exitCode = 0 }) => {
      await using box = project()
      for (const run of exitCode === 0 ? ['miss', 'hit'] : ['miss']) {
        const ended = box.run(runtime, ['--cache-failures', '--', 'sh', '-c', script], {
          env: temporary(box),
        })
        expect(ended, run).toMatchObject({ status: exitCode, stdout })
        expect(ended.stderr.split(/^recue: /m)[0], run).toBe(stderr)
        if (exitCode === 0) expect(ended.report.status).toBe(run)
      }
      expect(left(box)).toEqual([])
    })

    test('reads /dev/stdin', async () => {
      await using box = project()
      const args = ['--stdin', '--', 'sh', '-c', 'head -n 1 /dev/stdin; cat > /dev/null']
      const ended = box.run(runtime, args, { input: 'given\nmore\n', env: temporary(box) })
      expect(ended, ended.stderr).toMatchObject({ status: 0, stdout: 'given\n' })
      expect(left(box)).toEqual([])
    })

    test('writes 100 MB to each stream', async () => {
      await using box = project()
      const script = 'head -c 100000000 /dev/zero & head -c 100000000 /dev/zero >&2; wait'
      const ended = box.recue(runtime, ['run', '--', 'sh', '-c', script])
      expect(ended.status).toBe(0)
      expect(ended.stdout.length).toBe(100_000_000)
      expect(ended.stderr.lastIndexOf('\0')).toBe(99_999_999)
    })

    test('writes to both in turn is replayed in that order', async () => {
      await using box = project()
      const seen = (line: string) => `until case "$(cat ../shown)" in *${line}*) ;; *) false ;; esac; do :; done`
      const script = `for i in 1 2 3 4 5; do echo o$i; ${seen('o$i')}; echo e$i >&2; ${seen('e$i')}; done`
      const expected = [1, 2, 3, 4, 5].map((i) => `o${i}\ne${i}\n`).join('')
      for (const run of ['miss', 'hit']) {
        const ended = shell(box, runtime, `run --quiet -- sh -c '${script}' >../shown 2>&1; cat ../shown`)
        expect(ended.stdout, run).toBe(expected)
      }
    })

    test('leaves a process behind that holds them is not waited for, and its result is not kept', async () => {
      await using box = project()
      const ended = box.run(runtime, ['--', 'sh', '-c', 'sleep 300 & echo $!; exit 0'])
      process.kill(Number(ended.stdout))
      expect(ended).toMatchObject({ status: 0, report: { status: 'uncached' } })
      expect(ended.report.reason).toContain('in the background')
    })

    test('goes on writing when nobody reads any more is ended by it', async () => {
      await using box = project()
      const ended = shell(box, runtime, `run --report report.json -- sh -c 'yes; echo $? > status' | head -n 1`)
      expect(ended.stdout).toBe('y\n')
      expect(JSON.parse(readFileSync(path.join(box.folder, 'project/report.json'), 'utf8'))).toMatchObject({
        status: 'uncached',
      })
      expect(readFileSync(path.join(box.folder, 'project/status'), 'utf8')).toBe('141\n')
    })

    test('runs beside nine others, all silent at first, is heard', async () => {
      await using box = project()
      const names = Array.from({ length: 10 }, (_, at) => `task${at}`)
      // Each waits until all are there: with fewer pipes read at once than there are, none would get on.
      const command = (name: string) =>
        `touch ${name}.here; until [ $(ls -d *.here | wc -l) = 10 ]; do sleep 0.05; done; head -c 1000000 /dev/zero | tr '\\0' x; echo ${name} > /dev/stderr`
      const tasks = Object.fromEntries(
        names.map((name) => [name, { command: command(name), inputs: ['input.txt'], outputs: [`${name}.here`] }]),
      )
      writeFileSync(path.join(box.folder, 'project/recue.config.json'), JSON.stringify({ tasks }))
      const ended = box.recue(runtime, ['run', '--concurrency', '10', ...names])
      expect(ended.status, ended.stderr.slice(-2000)).toBe(0)
      expect(ended.stdout.replaceAll(/[^x]/g, '').length).toBeGreaterThanOrEqual(10_000_000)
      for (const name of names) expect(ended.stdout + ended.stderr).toContain(`${name}\n`)
    })

    test('runs where no pipe can be made still runs', async () => {
      await using box = project()
      const ended = box.run(runtime, ['--', 'sh', '-c', 'echo out; echo err >&2'], {
        env: { TMPDIR: path.join(box.folder, 'project/input.txt') },
      })
      expect(ended, ended.stderr).toMatchObject({ status: 0, stdout: 'out\n', report: { status: 'miss' } })
    })
  })
}

function project(): Sandbox {
  const box = sandbox('pipes')
  for (const name of ['project', 'home', 'tmp']) mkdirSync(path.join(box.folder, name))
  writeFileSync(path.join(box.folder, 'project/input.txt'), 'input\n')
  return box
}

function temporary(box: Sandbox): Record<string, string> {
  return { TMPDIR: path.join(box.folder, 'tmp') }
}

/** What recue left in the temporary folder. */
function left(box: Sandbox): string[] {
  return readdirSync(path.join(box.folder, 'tmp')).filter((name) => name.startsWith('recue-'))
}

function shell(box: Sandbox, runtime: Runtime, line: string) {
  return spawnSync('sh', ['-c', `${runtime.argv.map((word) => `'${word}'`).join(' ')} ${line}`], {
    cwd: path.join(box.folder, 'project'),
    env: { PATH: process.env.PATH, HOME: box.home, RECUE_CACHE_DIR: box.cacheDir, ...temporary(box) },
    encoding: 'utf8',
    timeout: 60_000,
  })
}
