import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, readFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { putInPlace } from './calls.ts'

/** The `node_modules` of `package.json` beside this file: installed once for each state of it, with no install scripts. */
export function npmTools(): string {
  const state = createHash('sha256')
    .update(readFileSync(path.join(import.meta.dirname, 'package.json')))
    .digest('hex')
  const installed = path.join(os.tmpdir(), `recue-e2e-client-tools-${state.slice(0, 16)}`)
  if (!existsSync(installed)) {
    const making = `${installed}-${process.pid}`
    cpSync(path.join(import.meta.dirname, 'package.json'), path.join(making, 'package.json'))
    const words = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock']
    execFileSync('npm', words, { cwd: making, stdio: 'ignore' })
    putInPlace(making, installed)
  }
  return path.join(installed, 'node_modules')
}

export function npmTool(name: string): string {
  return path.join(npmTools(), '.bin', name)
}
