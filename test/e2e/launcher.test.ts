import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { repository, type Sandbox, sandbox } from './runtimes.ts'

/** What npm users get: the packed packages, installed with no network and no install script. */
describe.skipIf(process.platform === 'win32')('installed from the packages', () => {
  let box: Sandbox
  let app: string

  beforeAll(() => {
    execFileSync(process.execPath, ['scripts/build.ts', 'library'], { cwd: repository, stdio: 'pipe' })
    execFileSync(process.execPath, ['scripts/platform-packages.ts', '--host'], { cwd: repository, stdio: 'pipe' })
    box = sandbox('install')
    app = path.join(box.folder, 'app')
    mkdirSync(app)
    mkdirSync(box.home)
    writeFileSync(path.join(app, 'package.json'), '{ "name": "app", "private": true }\n')
    const packed = readdirSync(path.join(repository, 'npm')).map((name) => pack(path.join(repository, 'npm', name)))
    npm(['install', '--offline', '--ignore-scripts', ...packed], app)
    return () => box[Symbol.asyncDispose]()
  })

  test('npm links the executable itself: nothing stands between', () => {
    expect(readlinkSync(path.join(app, 'node_modules/.bin/recue'))).toMatch(/^\.\.\/@recue\/[a-z0-9-]+\/recue$/)
    expect(version(path.join(app, 'node_modules/.bin/recue'))).toMatch(/^recue \d/)
  })

  test('the launcher finds it from its own place, from a link, and by a relative path', () => {
    const launcher = path.join(app, 'node_modules/recue/bin/recue')
    const link = path.join(box.folder, 'link')
    symlinkSync(launcher, link)
    expect(tracedProgram(launcher)).toMatch(/@recue\/[a-z0-9-]+\/recue$/)
    expect(tracedProgram(link)).toMatch(/@recue\/[a-z0-9-]+\/recue$/)
    expect(tracedProgram('node_modules/recue/bin/recue')).toMatch(/@recue\/[a-z0-9-]+\/recue$/)
  })

  test('the launcher finds it in the layout of pnpm, through links among the folders', () => {
    const store = path.join(box.folder, 'pnpm/node_modules/.pnpm/recue@1/node_modules')
    cpSync(path.join(app, 'node_modules/recue'), path.join(store, 'recue'), { recursive: true })
    symlinkSync(path.join(app, 'node_modules/@recue'), path.join(store, '@recue'))
    symlinkSync('.pnpm/recue@1/node_modules/recue', path.join(box.folder, 'pnpm/node_modules/recue'))
    expect(tracedProgram(path.join(box.folder, 'pnpm/node_modules/recue/bin/recue'))).toContain(
      '.pnpm/recue@1/node_modules/@recue/',
    )
  })

  test('without a platform package the launcher runs on Node', () => {
    const alone = path.join(box.folder, 'alone/node_modules')
    cpSync(path.join(app, 'node_modules/recue'), path.join(alone, 'recue'), { recursive: true })
    expect(version(path.join(alone, 'recue/bin/recue'))).toMatch(/^recue \d/)
    expect(tracedProgram(path.join(alone, 'recue/bin/recue'))).toBe('node')
  })

  test('with nothing to run on, it says so and ends with 125', () => {
    const alone = path.join(box.folder, 'nothing/node_modules')
    cpSync(path.join(app, 'node_modules/recue'), path.join(alone, 'recue'), { recursive: true })
    rmSync(path.join(alone, 'recue/dist'), { recursive: true })
    expect(() => version(path.join(alone, 'recue/bin/recue'))).toThrow(expect.objectContaining({ status: 125 }))
  })

  test('the library is imported by its name, with types that stand alone', () => {
    const program =
      "import { openCache } from 'recue'\nconst open: typeof openCache = openCache\nconsole.log(typeof open)\n"
    writeFileSync(path.join(app, 'use.mts'), program)
    expect(execFileSync(process.execPath, ['use.mts'], { cwd: app, encoding: 'utf8' })).toBe('function\n')
    const flags = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2024',
      '--lib',
      'es2024,esnext.disposable',
      '--types',
      'node',
    ]
    const typeRoots = ['--typeRoots', path.join(repository, 'node_modules/@types')]
    execFileSync(path.join(repository, 'node_modules/.bin/tsc'), [...flags, ...typeRoots, 'use.mts'], {
      cwd: app,
      stdio: 'inherit',
    })
  })

  function pack(folder: string): string {
    const name = npm(['pack', '--silent', '--pack-destination', box.folder], folder).trim().split('\n').at(-1) ?? ''
    return path.join(box.folder, name)
  }

  function npm(args: readonly string[], cwd: string): string {
    return execFileSync('npm', args, {
      cwd,
      encoding: 'utf8',
      env: { ...process.env, npm_config_update_notifier: 'false' },
    })
  }

  function version(program: string): string {
    return execFileSync(program, ['--version'], { cwd: app, encoding: 'utf8', stdio: 'pipe' })
  }

  /** What the launcher hands over to, from the shell's own trace. */
  function tracedProgram(launcher: string): string {
    const script = `exec 2>&1; PS4=; set -x; . "$0"`
    const trace = execFileSync('sh', ['-c', script, launcher, '--version'], { cwd: app, encoding: 'utf8' })
    const handover = trace.split('\n').find((line) => line.startsWith('exec ') && line.includes('--version'))
    return handover?.split(' ')[1] ?? trace
  }
})
