import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { DemoProject } from './project.ts'

/** Packages that are published with their TypeScript sources, compile alone, and take a moment. */
const PACKAGE = 'zod'

/** A package's own sources, compiled by the TypeScript beside it; undefined where the two are not installed. */
export function typescriptProject(cwd: string): DemoProject | undefined {
  const modules = modulesWith(cwd, [`${PACKAGE}/src/index.ts`, 'typescript/package.json', '.bin/tsc'])
  if (modules === undefined) return undefined
  const from = join(modules, PACKAGE)
  return {
    title: `${nameOf(from, 'Zod')}, compiled by ${nameOf(join(modules, 'typescript'), 'TypeScript')}`,
    argv: ['tsc', '-p', '.'],
    inputs: ['src', 'tsconfig.json'],
    output: 'dist',
    touched: { path: 'src/index.ts', line: 'export const changed = true' },
    path: [join(modules, '.bin')],
    make(folder) {
      const filter = (path: string) => !/[\\/](tests|benchmarks)$/.test(path)
      cpSync(join(from, 'src'), join(folder, 'src'), { recursive: true, filter })
      writeFileSync(join(folder, 'tsconfig.json'), `${JSON.stringify(TSCONFIG, undefined, 2)}\n`)
      writeFileSync(join(folder, 'package.json'), '{ "name": "demo", "type": "module", "private": true }\n')
    },
  }
}

const TSCONFIG = {
  compilerOptions: {
    ...{ target: 'es2022', module: 'nodenext', strict: true, skipLibCheck: true, types: [] },
    ...{ rootDir: 'src', outDir: 'dist', declaration: true, declarationMap: true, sourceMap: true },
  },
  include: ['src'],
}

/** The nearest `node_modules` that has them all. */
function modulesWith(cwd: string, paths: readonly string[]): string | undefined {
  for (let folder = cwd; ; folder = dirname(folder)) {
    const modules = join(folder, 'node_modules')
    if (paths.every((path) => existsSync(join(modules, path)))) return modules
    if (dirname(folder) === folder) return undefined
  }
}

function nameOf(folder: string, name: string): string {
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { readonly version: string }
  return `${name} ${version}`
}
