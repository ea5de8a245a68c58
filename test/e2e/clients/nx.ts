import { symlinkSync } from 'node:fs'
import path from 'node:path'
import { call, commitAll, json, LARGE, numberIn, writeFiles } from './calls.ts'
import { type Client, STEPS } from './client.ts'
import { missingPackage, npmTool, npmTools } from './npm-tools.ts'

export const nx: Client = {
  name: 'nx',
  protocol: 'Nx',
  missing: () => missingPackage('nx'),
  needsFront: 'Nx ends a build where nothing answers',
  outputs: ['a/dist/large.txt', 'a/dist/o.txt', 'b/dist/o.txt', 'c/dist/o.txt'],
  write(root, during) {
    writeFiles(root, {
      '.gitignore': 'dist\n.nx\nnode_modules\n',
      'package.json': json({ name: 'root', private: true }),
      'nx.json': json({
        targetDefaults: { build: { cache: true, dependsOn: ['^build'], outputs: ['{projectRoot}/dist'] } },
        ...{ neverConnectToCloud: true, analytics: false },
      }),
      'a/project.json': project('a', 'cp a/large.txt a/dist && echo made a > a/dist/o.txt'),
      'a/large.txt': LARGE,
      'b/during.sh': `${during}\n`,
      'b/project.json': project('b', 'sh b/during.sh && (cat a/dist/o.txt; echo made b) > b/dist/o.txt', 'a'),
      'c/project.json': project('c', '(cat b/dist/o.txt; echo made c) > c/dist/o.txt', 'b'),
    })
    symlinkSync(npmTools, path.join(root, 'node_modules'))
    commitAll(root)
  },
  async build(root, remote) {
    const env = remote && {
      NX_SELF_HOSTED_REMOTE_CACHE_SERVER: remote.http,
      NX_SELF_HOSTED_REMOTE_CACHE_ACCESS_TOKEN: remote.token,
    }
    const quiet = { NX_DAEMON: 'false', NX_TUI: 'false' }
    const { status, stdout, stderr } = await call(root, npmTool('nx'), ['run-many', '-t', 'build'], {
      ...quiet,
      ...env,
    })
    const said = stdout + stderr
    const hits = numberIn(said, /read the output from the cache instead of running the command for (\d+) out of/)
    return { status, said, hits, misses: STEPS - hits }
  },
}

function project(name: string, command: string, before?: string): string {
  return json({
    name,
    ...(before && { implicitDependencies: [before] }),
    targets: { build: { command: `mkdir -p ${name}/dist && ${command}` } },
  })
}
