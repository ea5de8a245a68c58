import os from 'node:os'
import path from 'node:path'
import { call, commitAll, countOf, json, writeFiles } from './calls.ts'
import type { Client } from './client.ts'
import { missingPackage, npmTool } from './npm-tools.ts'

const PROJECTS = ['a', 'b', 'c'] as const

/** `http`: action results as JSON, over HTTP. */
export function moon(how: 'grpc' | 'zstd' | 'http'): Client {
  return {
    name: how === 'zstd' ? 'moon, zstd' : 'moon',
    protocol: how === 'http' ? 'HTTP with JSON' : 'REAPI',
    missing: () => missingPackage('@moonrepo/cli'),
    outputs: PROJECTS.map((name) => `${name}/dist/out.txt`),
    write(root, during) {
      writeFiles(root, {
        '.gitignore': 'dist\n.moon/cache\n',
        '.moon/workspace.yml': json({ projects: [...PROJECTS], telemetry: false, vcs: { defaultBranch: 'main' } }),
        'b/during.sh': `${during}\n`,
        'a/moon.yml': project('echo made a > dist/out.txt'),
        'b/moon.yml': project('sh during.sh && (cat ../a/dist/out.txt; echo made b) > dist/out.txt', 'a'),
        'c/moon.yml': project('(cat ../b/dist/out.txt; echo made c) > dist/out.txt', 'b'),
      })
      commitAll(root)
    },
    async build(root, remote) {
      const env = remote && {
        MOON_REMOTE_API: how === 'http' ? 'http' : 'grpc',
        MOON_REMOTE_HOST: how === 'http' ? remote.http : remote.http.replace('http:', 'grpc:'),
        MOON_REMOTE_AUTH_TOKEN: 'TOKEN_OF_THE_TESTS',
        MOON_REMOTE_CACHE_COMPRESSION: how === 'zstd' ? 'zstd' : 'none',
        TOKEN_OF_THE_TESTS: remote.token,
      }
      // It looks for its project no further up than in the home, where it keeps what it compiled of its plugins, and no results.
      const own = {
        HOME: path.join(os.tmpdir(), 'recue-e2e-moon'),
        CI: 'false',
        MOON_TELEMETRY: 'false',
        MOON_VERSION_CHECK: 'false',
      }
      const { status, stdout, stderr } = await call(root, npmTool('moon'), ['run', 'c:build'], { ...own, ...env })
      const said = stdout + stderr
      const hits = countOf(said, /^▮▮▮▮ [abc]:build \(cached from remote/m)
      return { status, said, hits, misses: countOf(said, /^▮▮▮▮ [abc]:build \([\d.]+m?s, /m) }
    },
  }
}

/** JSON is YAML. */
function project(script: string, before?: string): string {
  const inputs = ['*', ...(before ? [`/${before}/dist/out.txt`] : [])]
  const build = { script: `mkdir -p dist && ${script}`, inputs, outputs: ['dist'], deps: before ? ['^:build'] : [] }
  return json({ ...(before && { dependsOn: [before] }), tasks: { build } })
}
