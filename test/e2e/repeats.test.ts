import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Ended, type Runtime, runtimes, type Sandbox, sandbox } from './runtimes.ts'

/** Writes to both streams in turn, and ends with 3. */
const SCRIPT = 'mkdir -p out; cp in/a out/a; echo one; echo two >&2; echo three; exit 3'
const ARGUMENTS = ['run', '-i', 'in', '-o', 'out', '--cache-failures', '--', 'sh', '-c', SCRIPT]

for (const runtime of runtimes) {
  describe(`on ${runtime.name}, a hit that is repeated`, () => {
    test('says and counts what the hit did', async () => {
      await using box = project()
      const miss = box.recue(runtime, ARGUMENTS)
      const hit = kept(box, () => box.recue(runtime, ARGUMENTS))
      const before = hits(box, runtime)
      const record = recordOf(box)
      const repeated = box.recue(runtime, ARGUMENTS)
      expect(recordOf(box)).toBe(record)
      expect({ ...repeated, stderr: withoutTimes(repeated) }).toEqual({ ...hit, stderr: withoutTimes(hit) })
      expect(repeated).toMatchObject({ status: 3, stdout: miss.stdout })
      expect(hits(box, runtime)).toBe(before + 1)
    })

    test('is none any more when a file changed, or the cache was cleared', async () => {
      await using box = project()
      kept(box, () => box.recue(runtime, ARGUMENTS))
      writeFileSync(path.join(box.folder, 'project/in/a'), 'other')
      expect(box.recue(runtime, ARGUMENTS).stderr).toContain('recue: miss')
      kept(box, () => box.recue(runtime, ARGUMENTS))
      rmSync(path.join(box.folder, 'project/out/a'))
      expect(box.recue(runtime, ARGUMENTS).stderr).toContain('restored 1 file')
      expect(existsSync(path.join(box.folder, 'project/out/a'))).toBe(true)
      kept(box, () => box.recue(runtime, ARGUMENTS))
      expect(box.recue(runtime, ['clear', '--yes']).status).toBe(0)
      expect(box.recue(runtime, ARGUMENTS).stderr).toContain('recue: miss')
    })

    test('ends as the hit did when nobody reads, or there is no room', async () => {
      await using box = project()
      const run = (script: string) => inShell(box, script, runtime)
      const inVain = ['exec 3<>../pipe 4>../pipe 3<&-; "$@" >&4 4>&-', '"$@" >/dev/full']
      spawnSync('mkfifo', [path.join(box.folder, 'pipe')])
      kept(box, () => run('"$@"'))
      const record = recordOf(box)
      const repeated = inVain.map(run)
      expect(repeated.map(({ status }) => status)).toEqual([141, 125])
      expect(recordOf(box)).toBe(record)
      rmSync(path.join(box.cacheDir, 'tmp', record.split(' ')[0] as string))
      expect(inVain.map(run)).toEqual(repeated)
      // Nothing of that is repeated.
      expect(recordOf(box)).toBe('')
      kept(box, () => run('"$@"'))
      expect(run('"$@"').status).toBe(3)
    })
  })
}

function project(): Sandbox {
  const box = sandbox('repeats')
  mkdirSync(path.join(box.folder, 'project/in'), { recursive: true })
  writeFileSync(path.join(box.folder, 'project/in/a'), 'a')
  return box
}

/** Runs until nothing is written down any more: from then on the hit is repeated. What it said when it was written down last. */
function kept<Hit extends Pick<Ended, 'stderr'>>(box: Sandbox, run: () => Hit): Hit {
  let hit = run()
  for (let round = 0; round < 500; round++) {
    const record = recordOf(box)
    const next = run()
    if (record !== '' && record === recordOf(box)) return hit
    hit = next
  }
  throw new Error(`no hit was ever repeated: ${hit.stderr}`)
}

/** Another one whenever it is written anew. */
function recordOf({ cacheDir }: Sandbox): string {
  const names = readdirSync(path.join(cacheDir, 'tmp')).filter((name) => name.startsWith('hit-'))
  return names.map((name) => `${name} ${statSync(path.join(cacheDir, 'tmp', name)).ino}`).join()
}

function hits(box: Sandbox, runtime: Runtime): number {
  const { stdout } = box.recue(runtime, ['stats', '--json'])
  return (JSON.parse(stdout) as { hits: number }).hits
}

function withoutTimes({ stderr }: Pick<Ended, 'stderr'>): string {
  return stderr.replace(/\d+(\.\d+)? (ms|s)\b/g, 'T').replace('saved T · ', '')
}

function inShell(box: Sandbox, script: string, runtime: Runtime): Pick<Ended, 'status' | 'stderr'> {
  const cwd = path.join(box.folder, 'project')
  const env = { PATH: process.env.PATH, HOME: box.home, RECUE_CACHE_DIR: box.cacheDir, LANG: process.env.LANG }
  const argv = ['-c', script, 'sh', ...runtime.argv, ...ARGUMENTS]
  const ended = spawnSync('sh', argv, { cwd, env, encoding: 'utf8' })
  return { status: ended.status, stderr: withoutTimes(ended) }
}
