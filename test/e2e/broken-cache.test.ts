import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Runtime, runtimes, type Sandbox, sandbox } from './runtimes.ts'
import { skipIf } from './skip-if.ts'

const isRoot = process.getuid?.() === 0
const NOBODY = 65_534

/** Whatever is wrong with the cache folder: the command runs, its exit code is the run's, one warning, nothing kept. */
interface Trouble {
  readonly name: string
  readonly make: (box: Sandbox) => void
  /** Undone before the sandbox is removed. */
  readonly undo?: (box: Sandbox) => void
  /** Run as somebody else: to root, no folder is closed. */
  readonly uid?: number
  readonly skip?: string | false
}

const troubles: readonly Trouble[] = [
  { name: 'a file', make: (box) => writeFileSync(box.cacheDir, 'a file') },
  {
    name: 'of a newer format',
    make: (box) => {
      mkdirSync(box.cacheDir, { mode: 0o700 })
      writeFileSync(path.join(box.cacheDir, 'FORMAT'), 'recue cache, format 999\n')
    },
  },
  {
    name: "a folder of somebody's documents",
    make: (box) => {
      mkdirSync(box.cacheDir)
      writeFileSync(path.join(box.cacheDir, 'thesis.txt'), 'three years of work')
    },
  },
  {
    name: 'read-only and empty',
    make: (box) => {
      mkdirSync(box.cacheDir)
      chmodSync(box.cacheDir, 0o555)
    },
    ...(isRoot ? { uid: NOBODY } : {}),
  },
  {
    name: 'read-only, with results in it',
    make: (box) => {
      mkdirSync(box.cacheDir, { mode: 0o700 })
      if (isRoot) chownSync(box.cacheDir, NOBODY, NOBODY)
      const [runtime] = runtimes as [Runtime]
      const kept = box.recue(runtime, ['run', '--', 'echo', 'kept'], isRoot ? { uid: NOBODY } : {})
      if (!kept.stderr.includes('miss')) throw new Error(kept.stderr)
      execFileSync('chmod', ['-R', 'a-w', box.cacheDir])
    },
    undo: (box) => void execFileSync('chmod', ['-R', 'u+w', box.cacheDir]),
    ...(isRoot ? { uid: NOBODY } : {}),
  },
  {
    name: 'owned by someone else',
    make: (box) => {
      mkdirSync(box.cacheDir, { mode: 0o700 })
      chownSync(box.cacheDir, 0, 0)
    },
    uid: NOBODY,
    skip: !isRoot && 'only root can make a folder of someone else',
  },
  {
    name: 'on a full disk',
    make: (box) => {
      mkdirSync(box.cacheDir)
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', box.cacheDir])
    },
    undo: (box) => void execFileSync('umount', [box.cacheDir]),
    skip: !canMount() && 'a file system of 16 kB cannot be mounted here',
  },
]

for (const runtime of runtimes) {
  describe(`on ${runtime.name}, a cache folder that is`, () => {
    for (const trouble of troubles) {
      test(trouble.name, async (context) => {
        skipIf(trouble.skip, context)
        await using box = sandbox('broken-cache')
        prepare(box)
        trouble.make(box)
        try {
          runsAllTheSame(runtime, box, trouble)
        } finally {
          trouble.undo?.(box)
        }
      })
    }
  })
}

function prepare(box: Sandbox): void {
  for (const name of ['project', 'home']) {
    mkdirSync(path.join(box.folder, name))
    chmodSync(path.join(box.folder, name), 0o777)
  }
  chmodSync(box.folder, 0o755)
  writeFileSync(path.join(box.folder, 'project/input.txt'), 'input\n')
}

function runsAllTheSame(runtime: Runtime, box: Sandbox, trouble: Trouble): void {
  const before = existsSync(path.join(box.cacheDir, 'thesis.txt')) ? readdirSync(box.cacheDir) : undefined
  const options = trouble.uid === undefined ? {} : { uid: trouble.uid }
  for (const run of ['first', 'second']) {
    const script = 'echo ran; echo ran >>runs.log; cp input.txt output.txt; exit 7'
    const args = ['run', '-i', 'input.txt', '-o', 'output.txt', '--cache-failures', '--', 'sh', '-c', script]
    const ended = box.recue(runtime, args, options)
    expect(ended, `${run} run`).toMatchObject({ status: 7, stdout: 'ran\n' })
    expect(ended.stderr).toMatch(/recue/)
    expect(ended.stderr.trim().split('\n').length, ended.stderr).toBeLessThanOrEqual(3)
    expect(ended.stderr).not.toMatch(/^\s+at /m)
  }
  expect(readFileSync(path.join(box.folder, 'project/runs.log'), 'utf8')).toBe('ran\nran\n')
  if (before !== undefined) expect(readdirSync(box.cacheDir)).toEqual(before)
}

function canMount(): boolean {
  if (!isRoot || process.platform !== 'linux') return false
  return spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0
}
