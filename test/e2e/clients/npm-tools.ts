import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, readFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { putInPlace } from './calls.ts'

const MANIFEST = path.join(import.meta.dirname, 'package.json')
const STATE = createHash('sha256').update(readFileSync(MANIFEST)).digest('hex')
const INSTALLED = path.join(os.tmpdir(), `recue-e2e-client-tools-${STATE.slice(0, 16)}`)

/** The `node_modules` of `package.json` beside this file, where it could be installed. */
export const npmTools = path.join(INSTALLED, 'node_modules')

/** Once for each state of `package.json`, with no install scripts. Where npm cannot bring them, their tests are skipped. */
export function installNpmTools(): void {
  if (existsSync(INSTALLED)) return
  const making = `${INSTALLED}-${process.pid}`
  cpSync(MANIFEST, path.join(making, 'package.json'))
  const words = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--fetch-retries=1']
  try {
    execFileSync('npm', words, { cwd: making, stdio: 'ignore' })
    putInPlace(making, INSTALLED)
  } catch (error) {
    console.log(`skipped: npm could not install the build tools: ${error}`)
  }
}

export function npmTool(name: string): string {
  return path.join(npmTools, '.bin', name)
}

/** Why a package's tool cannot be called; undefined where it can. */
export function missingPackage(name: string): string | undefined {
  return existsSync(path.join(npmTools, name)) ? undefined : `${name} could not be installed by npm`
}
