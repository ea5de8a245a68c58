import { call, commitAll, countOf, json, writeFiles } from './calls.ts'
import type { Client } from './client.ts'
import { missingPackage, npmTool } from './npm-tools.ts'

const PACKAGES = ['a', 'b', 'c'] as const

export const turbo: Client = {
  name: 'turbo',
  protocol: 'Turborepo',
  missing: () => missingPackage('turbo'),
  outputs: PACKAGES.map((name) => `packages/${name}/dist/out.txt`),
  write(root, during) {
    const links = PACKAGES.map((name) => [`node_modules/${name}`, { resolved: `packages/${name}`, link: true }])
    const packages = PACKAGES.map((name, i) => [`packages/${name}`, packageOf(name, PACKAGES[i - 1])])
    writeFiles(root, {
      '.gitignore': 'dist\nnode_modules\n.turbo\n',
      'package.json': json({ name: 'root', packageManager: 'npm@11.0.0', workspaces: ['packages/*'] }),
      'package-lock.json': json({
        ...{ name: 'root', lockfileVersion: 3 },
        packages: {
          '': { name: 'root', workspaces: ['packages/*'] },
          ...Object.fromEntries([...packages, ...links]),
        },
      }),
      'turbo.json': json({ tasks: { build: { dependsOn: ['^build'], outputs: ['dist/**'] } } }),
      'packages/b/during.sh': `${during}\n`,
      ...Object.fromEntries(
        PACKAGES.map((name, i) => [`packages/${name}/package.json`, json(packageOf(name, PACKAGES[i - 1]))]),
      ),
    })
    commitAll(root)
  },
  async build(root, remote) {
    const env = remote && { TURBO_API: remote.http, TURBO_TOKEN: remote.token, TURBO_TEAM: 'red' }
    const words = ['run', 'build', `--cache=${remote ? 'remote:rw' : ''}`]
    const { status, stdout, stderr } = await call(root, npmTool('turbo'), words, {
      TURBO_TELEMETRY_DISABLED: '1',
      ...env,
    })
    const said = stdout + stderr
    const hits = countOf(said, /:build: cache hit, replaying logs/)
    const isFull = said.includes('FULL TURBO') === (hits === PACKAGES.length)
    return { status: isFull ? status : -1, said, hits, misses: countOf(said, /:build: cache (miss|bypass), /) }
  },
}

function packageOf(name: string, before: string | undefined): object {
  const make = `mkdir -p dist && ${name === 'b' ? 'sh during.sh && ' : ''}echo made ${name}`
  return {
    ...{ name, version: '1.0.0' },
    scripts: { build: `${make} > dist/out.txt${before ? ` && cat ../${before}/dist/out.txt >> dist/out.txt` : ''}` },
    ...(before && { dependencies: { [before]: '1.0.0' } }),
  }
}
