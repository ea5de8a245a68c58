/**
 * Builds what is shipped into `dist/`. Parts, all unless named:
 *
 * - `executable`: `dist/recue`, one file for this platform with its runtime inside;
 * - `node`: `dist/node/recue.cjs`, the same command for Node;
 * - `library`: `dist/library.js` and its types.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { bytecodeOrders } from './bytecode-order.ts'
import { trimTypes } from './library-types.ts'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
const bin = path.join(root, 'node_modules', '.bin')

const NODE_ENTRY = `#!/usr/bin/env node
'use strict'
const exitCode = require('./repeat.cjs').repeatedRun()
if (exitCode === undefined) {
  require('node:module').enableCompileCache?.()
  require('./command.cjs')
} else process.exit(exitCode)
`

const parts = { executable: buildExecutable, node: buildNodeEntry, library: buildLibrary }

const asked = process.argv.slice(2)
for (const [name, build] of Object.entries(parts)) {
  if (asked.length === 0 || asked.includes(name)) build()
}

/** Twice: what the first one does on a hit says in which order the second one's bytecode lies. */
function buildExecutable(): void {
  const folder = mkdtempSync(path.join(tmpdir(), 'recue-build-'))
  try {
    const first = path.join(folder, 'recue')
    compile(first, [])
    const orders = bytecodeOrders(first, folder).map((file) => `--bytecode-order=${file}`)
    compile(process.env.RECUE_BUILD_OUTFILE ?? 'dist/recue', [...crossCompilation(), ...orders])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function compile(outfile: string, more: readonly string[]): void {
  run('bun', [
    'build',
    'src/cli/main.ts',
    '--compile',
    '--minify',
    '--bytecode',
    '--format=esm',
    // A file for what each command alone needs: a hit then touches the bytecode of a hit, not that of everything.
    '--splitting',
    // A checkout is not trusted: nothing that lies in the working directory may change what recue loads.
    '--no-compile-autoload-dotenv',
    '--no-compile-autoload-bunfig',
    '--no-compile-autoload-tsconfig',
    '--no-compile-autoload-package-json',
    // A hit is over before compiled code would pay for its compilation, which the second core does meanwhile, if there is one.
    '--compile-jit-policy=30',
    ...more,
    `--outfile=${outfile}`,
  ])
}

/** `scripts/platform-packages.ts` says which platform to build for and where its runtime lies; else it is this one. */
function crossCompilation(): string[] {
  const { RECUE_BUILD_TARGET: target, RECUE_BUILD_RUNTIME: runtime } = process.env
  return target && runtime ? [`--target=${target}`, `--compile-executable-path=${runtime}`] : []
}

/** As `src/cli/main.ts`: what repeats a hit by itself, and the command in a file of its own, which Node's compile cache serves. */
function buildNodeEntry(): void {
  rmSync(path.join(root, 'dist/node'), { recursive: true, force: true })
  bundleForNode('src/cli/repeat/repeat-run.ts', 'repeat.cjs')
  bundleForNode('src/cli/command-line.ts', 'command.cjs')
  writeFileSync(path.join(root, 'dist/node/recue.cjs'), NODE_ENTRY)
  chmodSync(path.join(root, 'dist/node/recue.cjs'), 0o755)
}

function bundleForNode(entry: string, outfile: string): void {
  run('bun', [
    'build',
    entry,
    '--target=node',
    // Some packages' `main` loads its parts in ways that no bundler sees.
    '--main-fields=module',
    '--main-fields=main',
    '--format=cjs',
    '--minify-syntax',
    '--minify-whitespace',
    `--outfile=dist/node/${outfile}`,
  ])
}

function buildLibrary(): void {
  run('bun', [
    'build',
    'src/library.ts',
    '--target=node',
    '--main-fields=module',
    '--main-fields=main',
    '--format=esm',
    '--outfile=dist/library.js',
  ])
  rmSync(path.join(root, 'dist/types'), { recursive: true, force: true })
  run('tsc', ['-p', 'tsconfig.build.json'])
  trimTypes(path.join(root, 'dist/types'), 'library.d.ts')
}

function run(program: string, args: readonly string[]): void {
  mkdirSync(path.join(root, 'dist'), { recursive: true })
  const result = spawnSync(path.join(bin, program), args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  if (result.status === 0) return
  process.stderr.write(result.stdout)
  process.exit(result.status ?? 1)
}
