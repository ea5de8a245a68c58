import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { repository } from './runtimes.ts'

/** A project of the real world, and how it is built. Paths are relative to its folder. */
export interface RealProject {
  readonly name: string
  /** Programs that only some machines have. */
  readonly needs: readonly string[]
  readonly write: (folder: string) => void
  readonly command: readonly string[]
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** What the tool keeps for itself beside the outputs. */
  readonly scratch?: string
  /** An input, and a change of it that changes the outputs (or, with no outputs, may change what is printed). */
  readonly changed: { readonly file: string; readonly append: string }
}

const modules = path.join(repository, 'node_modules')

/** Programs by name only, from `node_modules/.bin` on the PATH that `npm run` gives: as people write their commands. */
export const realProjects: readonly RealProject[] = [
  {
    name: 'tsc compiles zod',
    needs: [],
    write(folder) {
      cpSync(path.join(modules, 'zod/src'), path.join(folder, 'src'), {
        recursive: true,
        filter: (file) => !isTest(file),
      })
      writeJson(path.join(folder, 'tsconfig.json'), {
        compilerOptions: {
          target: 'es2022',
          module: 'nodenext',
          rootDir: 'src',
          outDir: 'dist',
          declaration: true,
          types: [],
        },
        include: ['src'],
      })
      writeJson(path.join(folder, 'package.json'), { name: 'zod-copy', type: 'module', private: true })
    },
    command: ['tsc', '-p', '.', '--noCheck'],
    inputs: ['src', 'tsconfig.json'],
    outputs: ['dist'],
    changed: { file: 'src/index.ts', append: '\nexport const changed = true\n' },
  },
  {
    name: 'vite bundles an app',
    needs: [],
    write(folder) {
      linkModules(folder)
      writeJson(path.join(folder, 'package.json'), { name: 'app', type: 'module', private: true })
      writeFileSync(
        path.join(folder, 'index.html'),
        '<!doctype html><script type="module" src="/src/main.ts"></script>\n',
      )
      mkdirSync(path.join(folder, 'src'))
      writeFileSync(
        path.join(folder, 'src/main.ts'),
        `import { z } from 'zod'\nimport { parse } from 'jsonc-parser'\nconsole.log(z.object({ a: z.string() }).parse(parse('{"a": "b"}')))\n`,
      )
    },
    command: ['vite', 'build', '--logLevel', 'warn'],
    inputs: ['index.html', 'src'],
    outputs: ['dist'],
    changed: { file: 'src/main.ts', append: "\nconsole.log('changed')\n" },
  },
  {
    name: 'biome lints a big tree',
    needs: [],
    write(folder) {
      cpSync(path.join(modules, 'zod/src'), path.join(folder, 'src'), { recursive: true })
      writeJson(path.join(folder, 'biome.json'), {
        linter: { rules: { preset: 'none', suspicious: { noDebugger: 'error' } } },
      })
    },
    command: ['biome', 'lint', 'src'],
    inputs: ['src', 'biome.json'],
    outputs: [],
    changed: { file: 'src/index.ts', append: '\nexport const changed = true\n' },
  },
  {
    name: "vitest runs zod's own tests",
    needs: [],
    write(folder) {
      cpSync(path.join(modules, 'zod/src'), path.join(folder, 'src'), { recursive: true })
      linkModules(folder)
      writeJson(path.join(folder, 'package.json'), { name: 'zod-tests', type: 'module', private: true })
      writeFileSync(
        path.join(folder, 'vitest.config.ts'),
        "export default { test: { include: ['src/v4/classic/tests/{string,number,union,record}.test.ts'], cache: false, testTimeout: 60_000 } }\n",
      )
    },
    command: ['vitest', 'run'],
    inputs: ['src', 'vitest.config.ts'],
    outputs: [],
    scratch: 'node_modules/.vitest-cache/**',
    changed: { file: 'src/v4/classic/tests/string.test.ts', append: "\ntest('added', () => {})\n" },
  },
  {
    name: 'gcc builds SQLite',
    needs: ['gcc'],
    write(folder) {
      const sqlite = path.join(packages(), 'better-sqlite3/deps/sqlite3')
      for (const name of ['sqlite3.c', 'sqlite3.h']) cpSync(path.join(sqlite, name), path.join(folder, name))
      writeFileSync(
        path.join(folder, 'build.sh'),
        'set -e\nmkdir -p build/lib\ngcc -O0 -c sqlite3.c -o build/sqlite3.o\nar rcD build/lib/libsqlite3.a build/sqlite3.o\ngcc -shared build/sqlite3.o -o build/lib/libsqlite3.so.0 -lm 2>/dev/null || cp build/sqlite3.o build/lib/libsqlite3.so.0\nln -s libsqlite3.so.0 build/lib/libsqlite3.so\n',
      )
    },
    command: ['sh', 'build.sh'],
    inputs: ['sqlite3.c', 'sqlite3.h', 'build.sh'],
    outputs: ['build'],
    changed: { file: 'sqlite3.c', append: '\nint changed(void) { return 1; }\n' },
  },
]

function isTest(file: string): boolean {
  return path.basename(file) === 'tests' || file.endsWith('.test.ts')
}

/** A folder of links, as pnpm makes it. */
function linkModules(folder: string): void {
  mkdirSync(path.join(folder, 'node_modules'))
  for (const name of readdirSync(modules)) {
    if (!name.startsWith('.')) symlinkSync(path.join(modules, name), path.join(folder, 'node_modules', name))
  }
}

function writeJson(file: string, value: unknown): void {
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`)
}

/** What `packages/package.json` names, installed once for each state of its lock file; no install script runs. */
function packages(): string {
  const source = path.join(import.meta.dirname, 'packages')
  const lock = readFileSync(path.join(source, 'package-lock.json'))
  const folder = path.join(
    os.tmpdir(),
    `recue-e2e-packages-${createHash('sha256').update(lock).digest('hex').slice(0, 16)}`,
  )
  if (!existsSync(folder)) {
    const making = `${folder}-${process.pid}`
    cpSync(source, making, { recursive: true })
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: making, stdio: 'ignore' })
    renameSync(making, folder)
  }
  return path.join(folder, 'node_modules')
}
