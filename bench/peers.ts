import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type Contender, once } from './paired-runs.ts'
import { node } from './place.ts'

export const peersFolder = path.dirname(fileURLToPath(import.meta.url))

/** Installs the peers into `bench/node_modules` where they are not yet. */
export function installPeers(): void {
  const { dependencies } = JSON.parse(readFileSync(path.join(peersFolder, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const isThere = (name: string) => existsSync(path.join(peersFolder, 'node_modules', name))
  if (Object.keys(dependencies).every(isThere)) return
  once({ name: 'npm', argv: ['npm', 'install', '--no-audit', '--no-fund', '--no-package-lock'], cwd: peersFolder })
}

/** A peer that is a library; what of it is used is the caller's to say. */
export async function importPeer<T>(name: string): Promise<T> {
  installPeers()
  const resolve = createRequire(path.join(peersFolder, 'package.json')).resolve
  return (await import(pathToFileURL(resolve(name)).href)) as T
}

const quiet = { DO_NOT_TRACK: '1', TURBO_TELEMETRY_DISABLED: '1', NX_NO_CLOUD: 'true', NX_TUI: 'false' }

/** The native binary itself: its npm bin starts a Node first, four times slower. */
export function turboNative(project: string): Contender {
  installPeers()
  const [binary] = globSync(['node_modules/@turbo/*/bin/turbo', 'node_modules/turbo-*/bin/turbo'], { cwd: peersFolder })
  if (binary === undefined) throw new Error('turbo has no native binary for this platform in bench/node_modules')
  return { name: 'turbo, native', argv: [path.join(peersFolder, binary), 'run', 'build'], cwd: project, env: quiet }
}

/** With its daemon, as it comes. */
export function nx(project: string): Contender {
  installPeers()
  const bin = path.join(peersFolder, 'node_modules/nx/dist/bin/nx.js')
  return { name: 'nx', argv: [node, bin, 'run', 'app:build-nx'], cwd: project, env: quiet }
}

nx.stop = (project: string): void => {
  spawnSync(node, [path.join(peersFolder, 'node_modules/nx/dist/bin/nx.js'), 'daemon', '--stop'], {
    cwd: project,
    stdio: 'ignore',
  })
}

export function moon(project: string): Contender {
  installPeers()
  return {
    name: 'moon',
    argv: [path.join(peersFolder, 'node_modules/.bin/moon'), 'run', 'app:build-moon'],
    cwd: project,
    env: quiet,
  }
}

/** Lives in npm scripts alone. */
export function wireit(project: string): Contender {
  installPeers()
  return { name: 'wireit', argv: ['npm', 'run', 'build:wireit'], cwd: project, env: quiet }
}
