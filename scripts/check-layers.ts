/**
 * The layer rule: a file of `src` imports its own room and rooms below it, never above. Prints each import that breaks
 * it and exits 1. (`dependency-cruiser` cannot read TypeScript sources with TypeScript 7; cycles are biome's business.)
 */
import { globSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** From the floor up. A single file counts as a room of its own; those on one line may import each other. */
const floors = [
  ['errors.ts', 'units', 'version.ts'],
  ['digest'],
  ['proto'],
  ['grpc'],
  ['evict'],
  ['store'],
  ['action'],
  ['observe'],
  ['operate'],
  ['cache.ts', 'memoize.ts', 'remote-tiers.ts'],
  ['migrate'],
  ['server'],
  ['connect', 'programs'],
  ['cli'],
  ['library.ts'],
]

const source = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../src')
const problems: string[] = []
const files = globSync('**/*.ts', { cwd: source })
for (const file of files) {
  for (const specifier of importsOf(readFileSync(path.join(source, file), 'utf8'))) check(file, specifier)
}
for (const problem of problems) process.stderr.write(`${problem}\n`)
process.stdout.write(`layers: ${files.length} files, ${problems.length} imports against the rule\n`)
process.exitCode = problems.length === 0 ? 0 : 1

function check(file: string, specifier: string): void {
  if (specifier.startsWith('.')) checkPath(file, specifier)
  else checkPackage(file, specifier)
}

function checkPath(file: string, specifier: string): void {
  const target = path.relative(source, path.resolve(source, path.dirname(file), specifier))
  const from = floorOf(file)
  const to = floorOf(target)
  if (target.startsWith('..') && !isTest(file) && target !== '../package.json') {
    problems.push(`src/${file} imports ${specifier}, which lies outside src`)
  } else if (from === -1 && !isTest(file))
    problems.push(`src/${file} stands in no room: name its room in scripts/check-layers.ts`)
  else if (to > from && !isTest(file)) problems.push(`src/${file} imports ${specifier}, from a room above its own`)
}

function checkPackage(file: string, specifier: string): void {
  if (specifier.startsWith('bun')) problems.push(`src/${file} imports ${specifier}: recue runs on Node and Bun alike`)
  if (!specifier.startsWith('node:') && builtinModules.includes(specifier))
    problems.push(`src/${file} imports ${specifier}: write node:${specifier}`)
}

function floorOf(file: string): number {
  const room = file.split(path.sep)[0] ?? ''
  return floors.findIndex((floor) => floor.includes(room))
}

function isTest(file: string): boolean {
  return /\.(test|contract)\.ts$/.test(file) || file.includes(`fixtures${path.sep}`)
}

/** Static and dynamic imports, and re-exports. The formatter keeps each `from '…'` on one line. */
function importsOf(text: string): string[] {
  return [...text.matchAll(/(?:^|\s)(?:from|import)\s*\(?\s*'([^'\n]+)'/gm)].map((match) => match[1] ?? '')
}
