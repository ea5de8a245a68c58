import path from 'node:path'
import { compileAll, compiler, OBJECTS, writeSources } from './c-sources.ts'
import { call, missingProgram, numberIn } from './calls.ts'
import { type Client, STEPS } from './client.ts'

export function ccache(layout: 'subdirs' | 'flat' | 'bazel'): Client {
  return {
    name: `ccache, ${layout}`,
    protocol: 'ccache',
    missing: () => missingProgram('ccache', 'gcc'),
    outputs: OBJECTS,
    write: writeSources,
    async build(root, remote) {
      const env = {
        CCACHE_DIR: path.join(root, '.ccache'),
        ...(remote && { CCACHE_REMOTE_STORAGE: storage(remote, layout) }),
      }
      const { status, stdout, stderr } = await call(root, 'sh', ['-c', compileAll(`ccache ${compiler()}`)], env)
      const { stdout: stats } = await call(root, 'ccache', ['-s', '-v'], env)
      const hits = numberIn(stats, /Cacheable calls:[\s\S]*?Hits: +(\d+) /)
      return { status, said: stdout + stderr + stats, hits, misses: STEPS - hits }
    },
  }
}

function storage({ http, token }: { http: string; token: string }, layout: string): string {
  return `http://anybody:${token}@${new URL(http).host}/ccache|layout=${layout}`
}
