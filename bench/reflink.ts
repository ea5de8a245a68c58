import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import path from 'node:path'
import { type Benchmark, type BenchOptions, type Row, rowOf, runAlone, scaled, skippedRow } from './benchmark.ts'
import { type Contender, pairedRuns } from './paired-runs.ts'
import { alone, executable, inPlace, primed } from './place.ts'

/**
 * A large output that does not compress is restored: as a clone of the store's file, as a hard link, or, on ext4, as a copy;
 * against `cp`. On file systems in files, which takes root.
 */
export const reflink: Benchmark = {
  name: 'reflink',
  run: (options) => inPlace('reflink', (folder) => measure(folder, options)),
}

const MIB = 1 << 20

function measure(folder: string, options: BenchOptions): Row[] {
  const mib = scaled(512, options, 32)
  return ['btrfs', 'xfs', 'ext4'].flatMap((kind) => {
    const point = mounted(folder, kind, mib * 5 + 512)
    if (point === undefined)
      return [skippedRow(`restore ${mib} MiB on ${kind}`, `mkfs.${kind} is not installed, or nothing can be mounted`)]
    try {
      return restores(point, kind, mib, options)
    } finally {
      spawnSync('umount', ['-l', point])
    }
  })
}

function mounted(folder: string, kind: string, mib: number): string | undefined {
  const image = path.join(folder, `${kind}.image`)
  const point = path.join(folder, kind)
  writeFileSync(image, '')
  truncateSync(image, mib * MIB)
  mkdirSync(point)
  const quiet = { stdio: 'ignore', env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` } } as const
  if (spawnSync(`mkfs.${kind}`, ['-q', image], quiet).status !== 0) return undefined
  return spawnSync('mount', ['-o', 'loop', image, point], quiet).status === 0 ? point : undefined
}

function restores(point: string, kind: string, mib: number, options: BenchOptions): Row[] {
  const noise = path.join(point, 'noise.bin')
  writeNoise(noise, mib)
  const copied = restoring(point, 'plain', ['cp', '--reflink=never', noise, 'large.bin'])
  const argv = ['run', '--no-clean', '--no-gitignore', '-i', 'stamp', '-o', 'large.bin', '--', 'cp', noise, 'large.bin']
  const room = { RECUE_MAX_CACHE_SIZE: `${mib * 3}MiB` }
  const plain = kept(point, 'plain', [executable, ...argv], room)
  const linked = kept(point, 'linked', [executable, ...argv], { ...room, RECUE_HARD_LINK: 'true' })
  const [cp, ours, link] = pairedRuns([copied, plain, linked], scaled(9, options, 3))
  if (cp === undefined || ours === undefined || link === undefined) throw new Error('nothing was timed')
  return [
    rowOf(`restore ${mib} MiB on ${kind}`, ours, cp),
    rowOf(`restore ${mib} MiB on ${kind}, --hard-link`, link, cp),
  ]
}

/** In a folder of its own, where the output is not there before each run. */
function restoring(point: string, name: string, argv: Contender['argv'], env: Record<string, string> = {}): Contender {
  const cwd = path.join(point, name)
  return {
    name: path.basename(argv[0]),
    argv,
    cwd,
    env,
    prepare: () => rmSync(path.join(cwd, 'large.bin'), { force: true }),
  }
}

function kept(point: string, name: string, argv: Contender['argv'], env: Record<string, string>): Contender {
  const cwd = path.join(point, name)
  mkdirSync(cwd)
  writeFileSync(path.join(cwd, 'stamp'), 'one\n')
  return primed(restoring(point, name, argv, { ...alone(cwd), ...env }))
}

function writeNoise(file: string, mib: number): void {
  const descriptor = openSync(file, 'w')
  for (let index = 0; index < mib; index++) writeSync(descriptor, randomBytes(MIB))
  closeSync(descriptor)
}

if (import.meta.main) await runAlone(reflink)
