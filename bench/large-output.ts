import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import path from 'node:path'
import { type Benchmark, type BenchOptions, type Row, runAlone, scaled, skippedRow } from './benchmark.ts'
import { installed } from './installed.ts'
import { alone, executable, inPlace } from './place.ts'

const MIB = 1 << 20

/** One output of 4 GiB: memory must not grow with it. */
export const largeOutput: Benchmark = {
  name: 'large-output',
  run: async (options) => {
    if (!installed('time')) return [skippedRow('4 GiB output', 'GNU time is not installed')]
    return inPlace('large-output', (folder) => measure(folder, options))
  },
}

function measure(folder: string, options: BenchOptions): Row[] {
  const mib = scaled(4096, options, 64)
  writeLarge(path.join(folder, 'large.bin'), mib)
  const argv = [executable, 'run', '--no-clean', '--no-gitignore', '-i', 'stamp', '-o', 'large.bin', '--', 'true']
  writeFileSync(path.join(folder, 'stamp'), 'one\n')
  const env = { ...alone(folder), RECUE_MAX_CACHE_SIZE: '16GiB' }
  const stored = peak(argv, folder, env)
  rmSync(path.join(folder, 'large.bin'))
  const restored = peak(argv, folder, env)
  return [rowOfPeak(`store one output of ${mib} MiB`, stored), rowOfPeak(`restore one output of ${mib} MiB`, restored)]
}

interface Peak {
  readonly mib: number
  readonly ms: number
}

function rowOfPeak(what: string, { mib, ms }: Peak): Row {
  return {
    what,
    ours: `executable ${(ms / 1000).toFixed(1)} s`,
    theirs: 'peak memory',
    ratio: mib,
    bar: 150,
    unit: 'MiB',
  }
}

/** Every other MiB is noise, the rest text: neither all compressible nor none of it. */
function writeLarge(file: string, mib: number): void {
  const text = Buffer.from('export const name = compute(42)\n'.repeat(MIB / 32))
  const descriptor = openSync(file, 'w')
  for (let index = 0; index < mib; index++) writeSync(descriptor, index % 2 === 0 ? randomBytes(MIB) : text)
  closeSync(descriptor)
}

/** GNU time writes the largest resident set of the process and its children, in KiB. */
function peak(argv: readonly string[], folder: string, env: Record<string, string>): Peak {
  const start = process.hrtime.bigint()
  const result = spawnSync('time', ['-f', '%M', ...argv], {
    cwd: folder,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  })
  if (result.status !== 0) throw new Error(`${argv.join(' ')} ended with ${result.status}\n${result.stderr}`)
  const kib = Number(result.stderr.trim().split('\n').at(-1))
  return { mib: kib / 1024, ms: Number(process.hrtime.bigint() - start) / 1e6 }
}

if (import.meta.main) await runAlone(largeOutput)
