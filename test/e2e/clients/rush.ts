import { cpSync, existsSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type Called, call, commitAll, countOf, json, LARGE, missingProgram, putInPlace, writeFiles } from './calls.ts'
import type { Client, Remote } from './client.ts'
import { missingPackage, npmTool } from './npm-tools.ts'

const PROJECTS = ['a', 'b', 'c'] as const

export const rush: Client = {
  name: 'rush',
  protocol: 'Rush',
  missing: () => missingPackage('@microsoft/rush') ?? missingProgram('tar'),
  needsFront: 'Rush ends with 1 where nothing answers',
  // It asks three times for each result that is not there, and pauses for seconds between.
  only: ['cold build fills', 'clean build hits', 'server restarted', 'token that reads'],
  outputs: PROJECTS.flatMap((name) => [`p/${name}/dist/out.txt`]).concat('p/a/dist/large.txt'),
  async write(root, during) {
    cpSync(await linked(), root, { recursive: true, verbatimSymlinks: true })
    writeFiles(root, { 'p/b/during.sh': `${during}\n` })
    commitAll(root)
  },
  async build(root, remote) {
    writeFiles(root, { 'common/config/rush/build-cache.json': cacheConfig(remote) })
    const own = remote && { RUSH_BUILD_CACHE_CREDENTIAL: `Bearer ${remote.token}` }
    const { status, stdout, stderr } = await rushIn(root, ['build', '--verbose'], own)
    const said = stdout + stderr
    const hits = countOf(said, /^"[abc]" was restored from the build cache\.$/m)
    return { status, said, hits, misses: countOf(said, /^"[abc]" completed successfully/m) }
  },
}

function cacheConfig(remote: Remote | undefined): string {
  if (remote === undefined) return json({ buildCacheEnabled: false, cacheProvider: 'local-only' })
  const http = { url: `${remote.http}/rush/`, isCacheWriteAllowed: true }
  return json({ buildCacheEnabled: true, cacheProvider: 'http', httpConfiguration: http })
}

const VERSIONS = { rush: '5.179.0', pnpm: '9.15.9' }

const projectFiles = () => ({
  '.gitignore': 'node_modules\ntemp\ndist\n.rush\n*.log\nrush-logs\n',
  'rush.json': json({
    ...{ rushVersion: VERSIONS.rush, pnpmVersion: VERSIONS.pnpm, nodeSupportedVersionRange: '>=20' },
    ...{ projectFolderMinDepth: 1, projectFolderMaxDepth: 3, suppressNodeLtsWarning: true, repository: {} },
    projects: PROJECTS.map((name) => ({ packageName: name, projectFolder: `p/${name}` })),
  }),
  'common/config/rush/pnpm-config.json': json({ useWorkspaces: true }),
  'common/config/rush/build-cache.json': cacheConfig(undefined),
  'p/a/large.txt': LARGE,
  'p/a/package.json': project('a', 'cp large.txt dist && echo made a > dist/out.txt'),
  'p/b/during.sh': ':\n',
  'p/b/package.json': project('b', 'sh during.sh && (cat ../a/dist/out.txt; echo made b) > dist/out.txt', 'a'),
  'p/c/package.json': project('c', '(cat ../b/dist/out.txt; echo made c) > dist/out.txt', 'b'),
  ...Object.fromEntries(PROJECTS.map((name) => [`p/${name}/config/rush-project.json`, json(OPERATIONS)])),
})

const OPERATIONS = { operationSettings: [{ operationName: 'build', outputFolderNames: ['dist'] }] }

function project(name: string, build: string, before?: string): string {
  const scripts = { build: `mkdir -p dist && ${build}` }
  return json({ name, version: '1.0.0', scripts, ...(before && { dependencies: { [before]: 'workspace:*' } }) })
}

/** The project with its packages linked to each other, for which Rush needs a package manager and some seconds: made once. */
async function linked(): Promise<string> {
  const folder = path.join(SHARED, 'linked')
  if (existsSync(folder)) return folder
  const making = path.join(SHARED, `making-${process.pid}`)
  writeFiles(making, projectFiles())
  commitAll(making)
  const { status, stdout, stderr } = await rushIn(making, ['update'], definedIn(process.env))
  if (status !== 0) throw new Error(`rush update: ${stdout}${stderr}`)
  rmSync(path.join(making, '.git'), { recursive: true })
  putInPlace(making, folder)
  return folder
}

const SHARED = path.join(os.tmpdir(), `recue-e2e-rush-${VERSIONS.rush}`)

function rushIn(root: string, words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Called> {
  return call(root, npmTool('rush'), words, {
    RUSH_GLOBAL_FOLDER: path.join(SHARED, 'global'),
    ...env,
  })
}

/** What npm has to know to reach its registry from this machine. */
function definedIn(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined))
}
