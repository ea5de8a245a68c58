import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Runtime, runtimes, type Sandbox, sandbox } from './runtimes.ts'
import { skipIf } from './skip-if.ts'

const isRoot = process.getuid?.() === 0
const NOBODY = 65_534

/** A folder that may not be written: by its mode, to whoever is not root; by its mount, to everyone. */
interface Way {
  readonly name: string
  readonly close: (box: Sandbox) => void
  readonly open: (box: Sandbox) => void
  readonly uid?: number
  readonly skip: string | false
}

const ways: readonly Way[] = [
  {
    name: 'by its mode',
    close: (box) => void execFileSync('chmod', ['-R', 'a-w', box.cacheDir]),
    open: (box) => void execFileSync('chmod', ['-R', 'u+w', box.cacheDir]),
    ...(isRoot ? { uid: NOBODY } : {}),
    skip: process.platform === 'win32' && 'modes are another thing here',
  },
  {
    name: 'by its mount',
    close: (box) => {
      execFileSync('mount', ['--bind', box.cacheDir, box.cacheDir])
      execFileSync('mount', ['-o', 'remount,bind,ro', box.cacheDir])
    },
    open: (box) => void execFileSync('umount', [box.cacheDir]),
    skip: !canMount() && 'nothing can be mounted here',
  },
]

for (const runtime of runtimes) {
  describe.each(ways)(`on ${runtime.name}, a cache folder that is read-only $name`, (way) => {
    test('gives what it has, and takes nothing', async (context) => {
      skipIf(way.skip, context)
      await using box = project(way)
      const run = (script = 'echo said; cp input.txt output.txt; echo ran >>runs.log') =>
        recue(box, runtime, way, [
          'run',
          '-i',
          'input.txt',
          '-o',
          'output.txt',
          '--scratch',
          'runs.log',
          '--',
          'sh',
          '-c',
          script,
        ])
      expect(run().stderr).toContain('recue: miss')
      way.close(box)
      try {
        rmSync(path.join(box.folder, 'project/output.txt'))
        const hit = run()
        expect(hit).toMatchObject({ status: 0, stdout: 'said\n' })
        expect(hit.stderr).toMatch(/^recue: hit .*restored 1 file.*\n$/)
        expect(run().stderr).toMatch(/^recue: hit .*1 file as it should be.*\n$/)
        expect(readFileSync(path.join(box.folder, 'project/runs.log'), 'utf8')).toBe('ran\n')
        const other = run('echo other; cp input.txt output.txt; exit 3')
        expect(other).toMatchObject({ status: 3, stdout: 'other\n' })
        expect(other.stderr).toMatch(/^recue: not kept: .*the cache folder cannot be written.*$/m)
      } finally {
        way.open(box)
      }
    })

    test('can be looked at', async (context) => {
      skipIf(way.skip, context)
      await using box = project(way)
      recue(box, runtime, way, ['run', '--', 'echo', 'kept'])
      way.close(box)
      try {
        const ls = recue(box, runtime, way, ['ls', '--json'])
        const [entry] = JSON.parse(ls.stdout) as { key: string }[]
        for (const args of [
          ['ls'],
          ['stats'],
          ['du'],
          ['show', entry?.key ?? ''],
          ['why', 'last'],
          ['config'],
          ['key', '--', 'echo', 'kept'],
        ]) {
          expect(recue(box, runtime, way, args), args.join(' ')).toMatchObject({ status: 0, stderr: '' })
        }
        const verified = recue(box, runtime, way, ['doctor', '--verify'])
        expect(verified.stderr).toBe('')
        expect(verified.stdout).toMatch(/^ok +results +all 1 whole/m)
        expect(recue(box, runtime, way, ['doctor']).stdout).toMatch(/^ok +index +whole$/m)
        for (const args of [['gc'], ['clear', '--yes'], ['scrub'], ['doctor', '--repair'], ['pin', entry?.key ?? '']]) {
          const { status, stderr } = recue(box, runtime, way, args)
          expect(status, args[0]).not.toBe(0)
          expect(stderr, args[0]).toMatch(/^recue: .*\n {7}(Check|To read and check) .*\n$/)
        }
      } finally {
        way.open(box)
      }
    })
  })
}

function project(way: Way): Sandbox {
  const box = sandbox('read-only')
  for (const name of ['project', 'home', 'cache']) {
    mkdirSync(path.join(box.folder, name), { mode: 0o700 })
    if (way.uid !== undefined) chownSync(path.join(box.folder, name), way.uid, way.uid)
  }
  chmodSync(box.folder, 0o755)
  writeFileSync(path.join(box.folder, 'project/input.txt'), 'input\n')
  return box
}

function recue(box: Sandbox, runtime: Runtime, way: Way, args: readonly string[]) {
  return box.recue(runtime, args, way.uid === undefined ? {} : { uid: way.uid })
}

function canMount(): boolean {
  if (!isRoot || process.platform !== 'linux') return false
  return spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0
}
