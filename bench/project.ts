import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { writeFiles } from './files.ts'
import { once } from './paired-runs.ts'
import { peersFolder } from './peers.ts'

const buildScript = `import { cpSync, rmSync } from 'node:fs'
rmSync('dist', { recursive: true, force: true })
cpSync('src', 'dist', { recursive: true })
console.log('built')
`

/** One package with a build that all runners of the comparison can run: 200 files of 10 kB in, 200 out. */
export function writeProject(folder: string): string {
  writeFiles(path.join(folder, 'src'), 200, 10_000)
  writeFileSync(path.join(folder, 'build.mjs'), buildScript)
  linkPeers(path.join(folder, 'node_modules'))
  writeFileSync(path.join(folder, '.gitignore'), 'node_modules\ndist\n.turbo\n.nx\n.wireit\n.moon/cache\n')
  const json = (file: string, value: unknown) => {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true })
    writeFileSync(path.join(folder, file), `${JSON.stringify(value, null, 2)}\n`)
  }
  json('package.json', {
    name: 'app',
    version: '1.0.0',
    private: true,
    packageManager: 'npm@11.0.0',
    scripts: { build: 'node build.mjs', 'build:wireit': 'wireit' },
    wireit: { 'build:wireit': { command: 'node build.mjs', files: ['src/**', 'build.mjs'], output: ['dist/**'] } },
  })
  json('package-lock.json', { name: 'app', version: '1.0.0', lockfileVersion: 3, packages: { '': { name: 'app' } } })
  json('turbo.json', { tasks: { build: { inputs: ['src/**', 'build.mjs'], outputs: ['dist/**'] } } })
  json('nx.json', { analytics: false })
  json('project.json', {
    name: 'app',
    targets: {
      'build-nx': {
        executor: 'nx:run-commands',
        options: { command: 'node build.mjs' },
        cache: true,
        inputs: ['{projectRoot}/src/**', '{projectRoot}/build.mjs'],
        outputs: ['{projectRoot}/dist'],
      },
    },
  })
  mkdirSync(path.join(folder, '.moon'), { recursive: true })
  writeFileSync(path.join(folder, '.moon/workspace.yml'), "projects:\n  app: '.'\ntelemetry: false\n")
  writeFileSync(
    path.join(folder, 'moon.yml'),
    "tasks:\n  build-moon:\n    command: 'node build.mjs'\n    inputs: ['src/**/*', 'build.mjs']\n    outputs: ['dist']\n",
  )
  const git = (...args: string[]) => once({ name: 'git', argv: ['git', ...args], cwd: folder })
  git('init', '-q')
  git('add', '-A')
  git('-c', 'user.name=bench', '-c', 'user.email=bench@localhost', 'commit', '-q', '-m', 'Project')
  return folder
}

/** A folder of links, as pnpm makes it: a `node_modules` that is itself a link out of the root would not be kept by recue. */
function linkPeers(modules: string): void {
  mkdirSync(modules)
  const peers = path.join(peersFolder, 'node_modules')
  for (const name of readdirSync(peers)) {
    if (name !== '.package-lock.json') symlinkSync(path.join(peers, name), path.join(modules, name))
  }
}
