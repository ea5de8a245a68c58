import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { runtimes } from '../runtimes.ts'
import { compileAll, compiler, OBJECTS, writeSources } from './c-sources.ts'
import { call, missingProgram, numberIn } from './calls.ts'
import { type Client, STEPS } from './client.ts'

/** Another than the one in the PATH, which is often too old to start helpers. */
const PROGRAM = process.env.RECUE_E2E_CCACHE ?? 'ccache'
const environments = new Map<string, Readonly<Record<string, string>>>()

export const ccacheHelper: Client = {
  name: 'ccache, storage helper',
  protocol: 'ccache',
  missing() {
    const [, major, minor] = /version (\d+)\.(\d+)/.exec(String(spawnSync(PROGRAM, ['--version']).stdout)) ?? []
    if (Number(major) * 100 + Number(minor) >= 413) return missingProgram('gcc')
    return `ccache 4.13 is not installed${major === undefined ? '' : ` (this is ${major}.${minor})`}`
  },
  outputs: OBJECTS,
  write: writeSources,
  async build(root, remote) {
    const [{ argv } = { argv: [] }] = runtimes
    const { host } = new URL(remote?.http ?? 'http://nobody')
    const storage = `recue://${host} helper=${argv[0]} idle-timeout=1m @bearer-token=${remote?.token}`
    const env = {
      CCACHE_DIR: path.join(root, '.ccache'),
      ...(remote && { CCACHE_REMOTE_STORAGE: storage }),
    }
    environments.set(root, env)
    const { status, stdout, stderr } = await call(root, 'sh', ['-c', compileAll(`${PROGRAM} ${compiler()}`)], env)
    const { stdout: stats } = await call(root, PROGRAM, ['-s', '-v'], env)
    const hits = numberIn(stats, /Cacheable calls:[\s\S]*?Hits: +(\d+) /)
    return { status, said: stdout + stderr + stats, hits, misses: STEPS - hits }
  },
  async leave(root) {
    const env = environments.get(root)
    if (env !== undefined && 'CCACHE_REMOTE_STORAGE' in env) await call(root, PROGRAM, ['--stop-storage-helpers'], env)
  },
}
