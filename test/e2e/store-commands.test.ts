import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Runtime, runtimes, type Sandbox, sandbox } from './runtimes.ts'

const LARGE_BYTES = 5 << 20
const COPY = ['-i', 'src', '-o', 'dist', '--', 'sh', '-c', 'mkdir -p dist; cp src/* dist; echo copied']

/** A project whose command copies `files` of `src` to `dist`. */
function project(files: Readonly<Record<string, string | Uint8Array>> = { 'a.txt': 'one\n' }): Sandbox {
  const box = sandbox('store')
  mkdirSync(path.join(box.folder, 'project/src'), { recursive: true })
  for (const [name, content] of Object.entries(files)) write(box, `src/${name}`, content)
  return box
}

function write(box: Sandbox, name: string, content: string | Uint8Array): void {
  writeFileSync(path.join(box.folder, 'project', name), content)
}

function inProject(box: Sandbox, name: string): string {
  return path.join(box.folder, 'project', name)
}

/** What the command prints as JSON; it must end well. */
function json<T>(box: Sandbox, runtime: Runtime, ...args: string[]): T {
  const ended = box.recue(runtime, [...args, '--json'])
  expect(ended.status, ended.stderr).toBe(0)
  return JSON.parse(ended.stdout) as T
}

function bytesIn(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return files.reduce((sum, { parentPath, name }) => sum + statSync(path.join(parentPath, name)).size, 0)
}

for (const runtime of runtimes) {
  describe(`on ${runtime.name}`, () => {
    test('what one cache exports is a hit in another that imports it', async () => {
      const large = randomBytes(LARGE_BYTES)
      await using box = project({ 'a.txt': 'one\n', large })
      expect(box.run(runtime, COPY).report.status).toBe('miss')
      const archive = path.join(box.folder, 'cache.tar.zst')
      expect(box.recue(runtime, ['export', archive])).toMatchObject({ status: 0, stdout: '' })
      const elsewhere = { env: { RECUE_CACHE_DIR: path.join(box.folder, 'other-cache') } }
      expect(box.recue(runtime, ['import', archive], elsewhere)).toMatchObject({ status: 0 })
      rmSync(inProject(box, 'dist'), { recursive: true })
      const hit = box.run(runtime, COPY, elsewhere)
      expect(hit).toMatchObject({ status: 0, stdout: 'copied\n', report: { status: 'hit' } })
      expect(readFileSync(inProject(box, 'dist/large')).equals(large)).toBe(true)
    })

    test('what this machine did is replayed through the policies', async () => {
      await using box = project()
      for (const content of ['one', 'two', 'one', 'three', 'one']) {
        write(box, 'src/a.txt', content)
        box.run(runtime, COPY)
      }
      const replayed = box.recue(runtime, ['simulate', '--policy', 'lru', '--policy', 'gdsf'])
      expect(replayed.status, replayed.stderr).toBe(0)
      expect(replayed.stdout).toMatch(/lru/)
      expect(replayed.stdout).toMatch(/gdsf/)
      expect(replayed.stdout).toMatch(/belady/i)
    })

    test('a pinned result outlives a collection of all there is', async () => {
      await using box = project()
      box.run(runtime, COPY)
      const [{ key } = { key: '' }] = json<{ key: string }[]>(box, runtime, 'ls')
      expect(box.recue(runtime, ['pin', key])).toMatchObject({ status: 0 })
      expect(box.recue(runtime, ['gc', '--target', '0'])).toMatchObject({ status: 0 })
      expect(box.run(runtime, COPY).report.status).toBe('hit')
      expect(box.recue(runtime, ['unpin', key])).toMatchObject({ status: 0 })
      expect(box.recue(runtime, ['gc', '--target', '0'])).toMatchObject({ status: 0 })
      expect(json(box, runtime, 'ls')).toEqual([])
    })

    test('damage is found by a scrub, mended by a repair, and built anew', async () => {
      const large = randomBytes(LARGE_BYTES)
      await using box = project({ large })
      box.run(runtime, COPY)
      expect(box.recue(runtime, ['scrub'])).toMatchObject({ status: 0 })
      const blobs = path.join(box.cacheDir, 'blobs')
      const [file] = readdirSync(blobs, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      const blob = path.join(file?.parentPath ?? '', file?.name ?? '')
      const bytes = readFileSync(blob)
      bytes[3 << 20] = (bytes[3 << 20] as number) ^ 1
      writeFileSync(blob, bytes)
      expect(box.recue(runtime, ['scrub', '--all']).status).toBe(1)
      expect(box.recue(runtime, ['doctor', '--repair']).status).toBe(0)
      expect(box.recue(runtime, ['doctor', '--verify']).status).toBe(0)
      rmSync(inProject(box, 'dist'), { recursive: true })
      expect(box.run(runtime, COPY)).toMatchObject({ status: 0, report: { status: 'miss' } })
      expect(readFileSync(inProject(box, 'dist/large')).equals(large)).toBe(true)
    })

    test.each([
      ['as links to the store', '--hard-link', ''],
      ['in chunks', '--chunking', 'fastcdc'],
    ])('large files kept %s come back as they were', async (_, ...flags) => {
      const large = randomBytes(LARGE_BYTES)
      await using box = project({ large })
      const args = [...flags.filter((word) => word !== ''), ...COPY]
      expect(box.run(runtime, args).report.status).toBe('miss')
      rmSync(inProject(box, 'dist'), { recursive: true })
      expect(box.run(runtime, args).report.status).toBe('hit')
      expect(readFileSync(inProject(box, 'dist/large')).equals(large)).toBe(true)
      const { nlink, mode } = statSync(inProject(box, 'dist/large'))
      const isLinked = flags[0] === '--hard-link'
      expect([nlink > 1, (mode & 0o222) === 0]).toEqual([isLinked, isLinked])
      // Links are read-only, and a clean start takes them away all the same.
      write(box, 'src/large', randomBytes(LARGE_BYTES))
      expect(box.run(runtime, args)).toMatchObject({ status: 0, report: { status: 'miss' } })
    })

    test('versions of a large file kept in chunks share what is the same in them', async () => {
      const one = randomBytes(LARGE_BYTES)
      const two = Buffer.concat([one.subarray(0, 1 << 20), Buffer.from('a few bytes more'), one.subarray(1 << 20)])
      await using box = project({ large: one })
      const args = ['--chunking', 'fastcdc', ...COPY]
      box.run(runtime, args)
      const before = bytesIn(box.cacheDir)
      write(box, 'src/large', two)
      expect(box.run(runtime, args).report.status).toBe('miss')
      expect(bytesIn(box.cacheDir) - before).toBeLessThan(LARGE_BYTES / 4)
      write(box, 'src/large', one)
      expect(box.run(runtime, args).report.status).toBe('hit')
      expect(readFileSync(inProject(box, 'dist/large')).equals(one)).toBe(true)
    })

    test('what a failed build made gives way to the next one, whose result is kept', async () => {
      await using box = project()
      const build = 'mkdir -p dist; cp src/* dist; test ! -e src/broken'
      const args = ['-i', 'src', '-o', 'dist', '--', 'sh', '-c', build]
      write(box, 'src/broken', 'x')
      expect(box.run(runtime, args)).toMatchObject({ status: 1, report: { status: 'uncached' } })
      write(box, 'dist/edited', 'by hand')
      rmSync(inProject(box, 'src/broken'))
      const unkept = box.run(runtime, args)
      expect(unkept.report).toMatchObject({ status: 'uncached', reason: expect.stringContaining('dist/edited') })
      expect(unkept.stderr).toMatch(/moved aside.*dist\/broken/)
      expect(readFileSync(inProject(box, 'dist/edited'), 'utf8')).toBe('by hand')
      rmSync(inProject(box, 'dist/edited'))
      expect(box.run(runtime, args).report).toMatchObject({ status: 'miss', outputs: ['dist/a.txt'] })
      expect(existsSync(inProject(box, 'dist/broken'))).toBe(false)
    })

    test.skipIf(process.platform !== 'linux')('commands that cannot be started leave no pipes behind', async () => {
      await using box = project()
      // Linux starts nothing with a single argument of more than 128 KiB.
      const tooLong = { command: ['true', 'x'.repeat(200_000)] }
      // They are closed a moment later.
      const script = `pipes() { for fd in /proc/$PPID/fd/*; do case $(readlink $fd) in */recue-pipes-*) readlink $fd ;; esac; done | sort -u | wc -l; }
        i=0; until [ $(pipes) = 2 ] || [ $((i += 1)) = 100 ]; do sleep 0.05; done; pipes`
      const count = { command: ['sh', '-c', script] }
      write(box, 'recue.config.json', JSON.stringify({ tasks: { one: tooLong, two: tooLong, count } }))
      const pipesOf = (...names: string[]) => {
        const ended = box.recue(runtime, ['run', ...names, 'count', '-j', '1', '--continue', '--force'])
        expect(ended.stderr.match(/are too long/g) ?? []).toHaveLength(names.length)
        return Number(/\d+$/m.exec(ended.stdout)?.[0])
      }
      expect(pipesOf()).toBe(2)
      expect(pipesOf('one', 'two')).toBe(2)
    })
  })
}
