/**
 * Makes the packages that carry one executable each: `npm/<platform>/`, and `npm/recue/`, the main package with them as
 * optional dependencies. They are not in package.json itself, since `npm ci` would look for what is not published yet.
 *
 *   node scripts/platform-packages.ts           all platforms; fetches the Bun of each from the npm registry
 *   node scripts/platform-packages.ts --host    this one alone, from `dist/recue`
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

interface Platform {
  readonly name: string
  readonly os: string
  readonly cpu: string
  readonly libc?: string
}

interface Manifest {
  version: string
  license: string
  files: string[]
  scripts?: unknown
  devDependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
  allowScripts?: unknown
}

const platforms: readonly Platform[] = [
  { name: 'linux-x64', os: 'linux', cpu: 'x64', libc: 'glibc' },
  { name: 'linux-arm64', os: 'linux', cpu: 'arm64', libc: 'glibc' },
  { name: 'linux-x64-musl', os: 'linux', cpu: 'x64', libc: 'musl' },
  { name: 'linux-arm64-musl', os: 'linux', cpu: 'arm64', libc: 'musl' },
  { name: 'darwin-x64', os: 'darwin', cpu: 'x64' },
  { name: 'darwin-arm64', os: 'darwin', cpu: 'arm64' },
  { name: 'win32-x64', os: 'win32', cpu: 'x64' },
]

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
const out = path.join(root, 'npm')
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Manifest

const hostOnly = process.argv.includes('--host')
rmSync(out, { recursive: true, force: true })
const wanted = hostOnly ? platforms.filter(isHost) : platforms
for (const platform of wanted) {
  writePackage(platform)
  if (hostOnly) cpSync(path.join(root, 'dist/recue'), executablePath(platform))
  else compileFor(platform)
  chmodSync(executablePath(platform), 0o755)
}
writeMainPackage()
process.stdout.write(`${path.relative(root, out)}: recue, ${wanted.map((platform) => platform.name).join(', ')}\n`)

function isHost(platform: Platform): boolean {
  const libc = existsSync('/lib/ld-musl-x86_64.so.1') || existsSync('/lib/ld-musl-aarch64.so.1') ? 'musl' : 'glibc'
  return (
    platform.os === process.platform &&
    platform.cpu === process.arch &&
    (platform.libc === undefined || platform.libc === libc)
  )
}

function executablePath(platform: Platform): string {
  return path.join(out, platform.name, platform.os === 'win32' ? 'recue.exe' : 'recue')
}

/** `bin` is there on purpose: where npm links it, nothing stands between the shell and the executable. */
function writePackage(platform: Platform): void {
  const file = path.basename(executablePath(platform))
  writeJson(path.join(out, platform.name, 'package.json'), {
    name: `@recue/${platform.name}`,
    version: manifest.version,
    description: `The recue executable for ${platform.name}.`,
    license: manifest.license,
    os: [platform.os],
    cpu: [platform.cpu],
    ...(platform.libc === undefined ? {} : { libc: [platform.libc] }),
    bin: { recue: file },
    files: [file],
  })
  cpSync(path.join(root, 'LICENSE'), path.join(out, platform.name, 'LICENSE'))
}

function compileFor(platform: Platform): void {
  const bun = `@oven/bun-${platform.os === 'win32' ? 'windows' : platform.os}-${platform.cpu === 'arm64' ? 'aarch64' : platform.cpu}${platform.libc === 'musl' ? '-musl' : ''}`
  const folder = path.join(out, '.bun', platform.name)
  mkdirSync(folder, { recursive: true })
  run('npm', ['pack', '--silent', '--pack-destination', folder, `${bun}@${manifest.devDependencies?.bun ?? ''}`])
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? ''
  run('tar', ['xzf', path.join(folder, tarball), '-C', folder])
  run('node', ['scripts/build.ts', 'executable'], {
    RECUE_BUILD_TARGET: bun.replace('@oven/', '').replace('aarch64', 'arm64'),
    RECUE_BUILD_RUNTIME: path.join(folder, 'package/bin', platform.os === 'win32' ? 'bun.exe' : 'bun'),
    RECUE_BUILD_OUTFILE: executablePath(platform),
  })
  rmSync(path.join(out, '.bun'), { recursive: true })
}

function writeMainPackage(): void {
  const folder = path.join(out, 'recue')
  for (const entry of [...manifest.files, 'README.md', 'LICENSE']) {
    if (existsSync(path.join(root, entry)))
      cpSync(path.join(root, entry), path.join(folder, entry), { recursive: true })
  }
  const { scripts: _scripts, devDependencies: _bundled, allowScripts: _allow, ...published } = manifest
  const optionalDependencies = Object.fromEntries(wanted.map(({ name }) => [`@recue/${name}`, manifest.version]))
  writeJson(path.join(folder, 'package.json'), { ...published, optionalDependencies })
}

function writeJson(file: string, value: unknown): void {
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`)
}

function run(program: string, args: readonly string[], environment: Record<string, string> = {}): void {
  const env = { ...process.env, ...environment }
  const result = spawnSync(program, args, { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] })
  if (result.status !== 0) throw new Error(`${program} ${args.join(' ')} failed`)
}
