import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { runtimes, type Sandbox, sandbox } from './runtimes.ts'

const touch = ['--', 'sh', '-c', 'echo ran >ran.txt']

/** Mistakes of the user's: 125, said in one go with what to do, and the command does not run. */
const mistakes: readonly { name: string; args: readonly string[]; says: RegExp }[] = [
  { name: 'a flag that is not there', args: ['--no-such-flag', ...touch], says: /no-such-flag/ },
  { name: 'an input that matches nothing', args: ['-i', 'nothing/**', ...touch], says: /nothing/ },
  { name: 'an input outside the root', args: ['-i', '../outside.txt', ...touch], says: /outside/ },
  { name: 'the working directory as output', args: ['-o', '.', ...touch], says: /output/ },
  { name: 'the folder above as output', args: ['-o', '..', ...touch], says: /output/ },
  { name: 'HOME as output', args: ['-o', '../home', ...touch], says: /output/ },
  { name: 'HOME as output, by its short name', args: ['-o', '~', ...touch], says: /output/ },
  { name: 'the root of the file system as output', args: ['-o', '/', ...touch], says: /output/ },
  { name: 'git as output', args: ['-o', '.git', ...touch], says: /output/ },
  { name: 'an output that is an input', args: ['-i', 'src/a.txt', '-o', 'src/a.txt', ...touch], says: /src\/a\.txt/ },
  { name: 'an output that contains an input', args: ['-i', 'src/a.txt', '-o', 'src', ...touch], says: /src/ },
  { name: 'a task that is not there', args: ['no-such-task'], says: /no-such-task/ },
  { name: 'a size that is none', args: ['--timeout', 'soon', ...touch], says: /soon/ },
]

for (const runtime of runtimes) {
  describe(`on ${runtime.name}`, () => {
    for (const { name, args, says } of mistakes) {
      test(`${name} is 125, and the command does not run`, async () => {
        await using box = project()
        const ended = box.recue(runtime, ['run', ...args])
        expect(ended.status, ended.stderr).toBe(125)
        expect(ended.stderr).toMatch(says)
        expect(ended.stderr).not.toMatch(/^\s+at /m)
        expect(ended.stdout).toBe('')
        expect(existsSync(path.join(box.folder, 'project/ran.txt'))).toBe(false)
        expect(existsSync(path.join(box.folder, 'project/src/a.txt'))).toBe(true)
      })
    }

    test('a broken config is 125, with line and column', async () => {
      await using box = project()
      writeFileSync(path.join(box.folder, 'project/recue.config.json'), '{\n  "tasks": {\n    "build": [oops\n  }\n}\n')
      const ended = box.recue(runtime, ['run', 'build'])
      expect(ended.status).toBe(125)
      expect(ended.stderr).toMatch(/recue\.config\.json:3:\d+/)
    })

    test.each([
      [['dist'], ['dist']],
      [['dist'], ['dist/web']],
    ])('two tasks that claim outputs %j and %j are 125, and neither runs', async (one, other) => {
      await using box = project()
      const tasks = {
        one: { command: 'echo ran >ran.txt', outputs: one },
        other: { command: 'echo ran >ran.txt', outputs: other },
      }
      writeFileSync(path.join(box.folder, 'project/recue.config.json'), JSON.stringify({ tasks }))
      const ended = box.recue(runtime, ['run', 'one'])
      expect(ended.status).toBe(125)
      expect(ended.stderr).toMatch(/one.*other.*dist/)
      expect(existsSync(path.join(box.folder, 'project/ran.txt'))).toBe(false)
    })

    test('tasks in a circle are 125, and the circle is shown', async () => {
      await using box = project()
      const tasks = { a: { command: 'true', dependsOn: ['b'] }, b: { command: 'true', dependsOn: ['a'] } }
      writeFileSync(path.join(box.folder, 'project/recue.config.json'), JSON.stringify({ tasks }))
      const ended = box.recue(runtime, ['run', 'a'])
      expect(ended.status).toBe(125)
      expect(ended.stderr).toMatch(/a.*b.*a/)
    })

    test('a program that is not there is 127, one that may not be executed 126', async () => {
      await using box = project()
      expect(box.recue(runtime, ['run', '--', 'no-such-program-of-recue']).status).toBe(127)
      writeFileSync(path.join(box.folder, 'project/plain.sh'), 'echo hello\n')
      chmodSync(path.join(box.folder, 'project/plain.sh'), 0o644)
      expect(box.recue(runtime, ['run', '--', './plain.sh']).status).toBe(126)
    })

    test("the command's exit code is the run's, and 128 + n when signal n ended it", async () => {
      await using box = project()
      expect(box.recue(runtime, ['run', '--', 'sh', '-c', 'exit 42']).status).toBe(42)
      expect(box.recue(runtime, ['run', '--', 'sh', '-c', 'kill -TERM $$']).status).toBe(143)
      expect(box.recue(runtime, ['run', '--', 'sh', '-c', 'kill -KILL $$']).status).toBe(137)
    })

    test('streams arrive byte for byte, live and replayed, and recue says nothing on stdout', async () => {
      await using box = project()
      const script = "printf 'out\\000\\377'; printf 'err\\r\\n' >&2; head -c 300000 /dev/zero"
      const live = box.run(runtime, ['-i', 'src', '--', 'sh', '-c', script])
      const replayed = box.run(runtime, ['-i', 'src', '--', 'sh', '-c', script])
      expect([live.report.status, replayed.report.status]).toEqual(['miss', 'hit'])
      expect(live.stdout.length).toBe(300_005)
      expect(replayed.stdout).toBe(live.stdout)
      expect(replayed.stderr).toContain('err\r\n')
    })

    test('a repository, and no git on the PATH', async () => {
      await using box = sandbox('no-git')
      const folder = path.join(box.folder, 'project')
      mkdirSync(folder)
      mkdirSync(path.join(box.folder, 'bin'))
      for (const name of ['sh', 'cp', 'mkdir']) symlinkSync(`/bin/${name}`, path.join(box.folder, 'bin', name))
      execFileSync('git', ['init', '-q', folder])
      writeFileSync(path.join(folder, 'a.txt'), 'a\n')
      writeFileSync(path.join(folder, '.gitignore'), 'ignored\n')
      const ask = () =>
        box.run(runtime, ['-o', 'dist', '--', 'sh', '-c', 'mkdir -p dist; cp a.txt dist'], {
          env: { PATH: path.join(box.folder, 'bin') },
        })
      expect(ask().report.status).toBe('miss')
      writeFileSync(path.join(folder, 'ignored'), 'of no matter')
      rmSync(path.join(folder, 'dist'), { recursive: true })
      expect(ask().report.status).toBe('hit')
      expect(existsSync(path.join(folder, 'dist/a.txt'))).toBe(true)
      writeFileSync(path.join(folder, 'a.txt'), 'b\n')
      expect(ask().report.status).toBe('miss')
    })

    test('a project that is empty and in no repository', async () => {
      await using box = sandbox('empty')
      mkdirSync(path.join(box.folder, 'project'))
      const ask = () => box.run(runtime, ['--', 'echo', 'hello'])
      expect([ask().report.status, ask().report.status]).toEqual(['miss', 'hit'])
    })
  })
}

function project(): Sandbox {
  const box = sandbox('exit')
  mkdirSync(path.join(box.folder, 'project/src'), { recursive: true })
  mkdirSync(path.join(box.folder, 'project/.git'))
  mkdirSync(box.home)
  writeFileSync(path.join(box.folder, 'project/package.json'), '{ "name": "project" }\n')
  writeFileSync(path.join(box.folder, 'project/src/a.txt'), 'a\n')
  writeFileSync(path.join(box.folder, 'outside.txt'), 'outside\n')
  return box
}
