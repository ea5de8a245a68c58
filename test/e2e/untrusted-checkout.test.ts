import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { runtimes, type Sandbox, sandbox } from './runtimes.ts'

for (const runtime of runtimes) {
  describe(`on ${runtime.name}, a checkout cannot make recue`, () => {
    test('run code of its own, or pass on variables, by files that runtimes load by themselves', async () => {
      await using box = trapped()
      const ended = box.recue(runtime, ['run', '-i', 'input.txt', '--', 'env'])
      expect(ended.status, ended.stderr).toBe(0)
      expect(ended.stdout).not.toMatch(/FROM_DOTENV|NODE_OPTIONS/)
      expect(existsSync(path.join(box.folder, 'preloaded'))).toBe(false)
    })

    test('look at another key because of a .env file', async () => {
      await using box = trapped()
      const keyed = () =>
        box.run(runtime, ['-i', 'input.txt', '-e', 'NODE_ENV', '-e', 'FROM_DOTENV', '--', 'true']).report.key
      const before = keyed()
      writeFileSync(path.join(box.folder, 'project/.env'), 'NODE_ENV=other\nFROM_DOTENV=other\n')
      expect(keyed()).toBe(before)
    })
  })

  describe(`on ${runtime.name}, nothing of the user's is lost`, () => {
    test('by RECUE_CACHE_DIR=$HOME recue clear', async () => {
      await using box = sandbox('clear')
      mkdirSync(path.join(box.folder, 'project'))
      mkdirSync(path.join(box.home, 'blobs/aa'), { recursive: true })
      writeFileSync(path.join(box.home, 'letter.txt'), 'dear')
      writeFileSync(path.join(box.home, 'blobs/aa/photo'), 'a photo')
      const ended = box.recue(runtime, ['clear', '--yes'], { env: { RECUE_CACHE_DIR: box.home } })
      expect(ended.status).toBe(125)
      expect(readdirSync(box.home).sort()).toEqual(['blobs', 'letter.txt'])
      expect(readFileSync(path.join(box.home, 'blobs/aa/photo'), 'utf8')).toBe('a photo')
    })

    test('by clear of a real cache folder into which something else was put', async () => {
      await using box = sandbox('clear')
      mkdirSync(path.join(box.folder, 'project'))
      box.run(runtime, ['--', 'echo', 'kept'])
      writeFileSync(path.join(box.cacheDir, 'letter.txt'), 'dear')
      expect(box.recue(runtime, ['clear', '--yes']).status).toBe(0)
      expect(readFileSync(path.join(box.cacheDir, 'letter.txt'), 'utf8')).toBe('dear')
      expect(box.run(runtime, ['--', 'echo', 'kept']).report.status).toBe('miss')
    })

    test('by the sources as an output, with no inputs named', async () => {
      await using box = sandbox('sources')
      const src = path.join(box.folder, 'project/src')
      mkdirSync(src, { recursive: true })
      writeFileSync(path.join(src, 'a.txt'), 'an hour of work')
      for (const script of ['true', 'echo made >src/made', 'rm -f src/made'])
        box.recue(runtime, ['run', '-o', 'src', '--', 'sh', '-c', script])
      expect(readFileSync(path.join(src, 'a.txt'), 'utf8')).toBe('an hour of work')
    })

    test('by an output that became a link to a folder of theirs', async () => {
      await using box = sandbox('link')
      const project = path.join(box.folder, 'project')
      const theirs = path.join(box.folder, 'photos')
      for (const folder of [project, theirs]) mkdirSync(folder)
      writeFileSync(path.join(theirs, 'file'), 'a photo')
      writeFileSync(path.join(project, 'in'), '1')
      const ask = () =>
        box.run(runtime, ['-i', 'in', '-o', 'out', '--', 'sh', '-c', 'mkdir -p out; echo built >out/file'])
      ask()
      rmSync(path.join(project, 'out'), { recursive: true })
      symlinkSync(theirs, path.join(project, 'out'))
      expect(ask().report.status).toBe('hit')
      expect(readFileSync(path.join(theirs, 'file'), 'utf8')).toBe('a photo')
      expect(readFileSync(path.join(project, 'out/file'), 'utf8')).toBe('built\n')
    })

    test('by outputs that lie in each other', async () => {
      await using box = sandbox('nested')
      const project = path.join(box.folder, 'project')
      mkdirSync(path.join(project, 'out/deep'), { recursive: true })
      writeFileSync(path.join(project, 'out/deep/mine.txt'), 'mine')
      const script = 'mkdir -p out/deep; echo built >out/deep/file'
      const ask = () => box.run(runtime, ['-o', 'out', '-o', 'out/deep', '--', 'sh', '-c', script])
      ask()
      ask()
      expect(readFileSync(path.join(project, 'out/deep/mine.txt'), 'utf8')).toBe('mine')
    })

    test('by a restore over a file that was edited since', async () => {
      await using box = sandbox('edited')
      const project = path.join(box.folder, 'project')
      mkdirSync(project)
      const ask = () => box.run(runtime, ['-o', 'out', '--', 'sh', '-c', 'mkdir -p out; echo built >out/file'])
      ask()
      writeFileSync(path.join(project, 'out/file'), 'edited by hand')
      writeFileSync(path.join(project, 'out/mine.txt'), 'mine')
      expect(ask().report.status).toBe('hit')
      expect(readFileSync(path.join(project, 'out/file'), 'utf8')).toBe('built\n')
      const kept = filesBelow(path.join(box.cacheDir, 'trash')).map((file) => readFileSync(file, 'utf8'))
      const stays = existsSync(path.join(project, 'out/mine.txt'))
      expect([...kept, stays ? 'mine' : '']).toEqual(expect.arrayContaining(['edited by hand', 'mine']))
    })
  })
}

/** Everything that Node or Bun would load from a folder they are started in. */
function trapped(): Sandbox {
  const box = sandbox('trap')
  const project = path.join(box.folder, 'project')
  mkdirSync(project)
  mkdirSync(box.home)
  const write = (name: string, text: string) => writeFileSync(path.join(project, name), text)
  const marker = JSON.stringify(path.join(box.folder, 'preloaded'))
  write('input.txt', 'input\n')
  write('preload.js', `require('node:fs').writeFileSync(${marker}, 'yes')\n`)
  write('.env', 'FROM_DOTENV=yes\nNODE_OPTIONS=--require ./preload.js\nBUN_OPTIONS=--preload ./preload.js\n')
  write('.env.local', 'FROM_DOTENV=yes\n')
  write('.env.production', 'FROM_DOTENV=yes\n')
  write('bunfig.toml', 'preload = ["./preload.js"]\n[run]\nbun = true\n')
  write('tsconfig.json', '{ "compilerOptions": { "paths": { "node:*": ["./preload.js"], "*": ["./preload.js"] } } }\n')
  write('package.json', '{ "name": "trap", "imports": { "#*": "./preload.js" }, "main": "./preload.js" }\n')
  write('node.config.json', '{ "nodeOptions": { "require": "./preload.js" } }\n')
  return box
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return []
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name))
}
