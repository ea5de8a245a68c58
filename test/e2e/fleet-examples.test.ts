import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { repository } from './runtimes.ts'
import { skipIf } from './skip-if.ts'

/** That what `examples/fleet/` gives people to copy is read by the programs that it is for. */
const EXAMPLES = path.join(repository, 'examples/fleet')
const FILES = ['compose.yaml', 'kubernetes.yaml', 'recue.service'] as const
const textOf = (name: string) => readFileSync(path.join(EXAMPLES, name), 'utf8')

let folder: string
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'recue-fleet-examples-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function run(program: string, words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return spawnSync(program, words, { encoding: 'utf8', cwd: folder, env: { ...process.env, ...env } })
}

/** Why it cannot be run here. */
function lacking(program: string, ...words: string[]): string | false {
  const { error, status } = run(program, words)
  return (error !== undefined || status !== 0) && `${[program, words[0]].join(' ')} is not installed`
}

/** The devDependency that compiles the executable reads YAML. */
function documentsOf(name: string): readonly Record<string, unknown>[] {
  const read = 'console.log(JSON.stringify([Bun.YAML.parse(await Bun.file(process.argv[1]).text())].flat()))'
  const bun = path.join(repository, 'node_modules/.bin/bun')
  const { stdout, stderr, status } = run(bun, ['-e', read, path.join(EXAMPLES, name)])
  expect([status, stderr]).toEqual([0, ''])
  return JSON.parse(stdout) as Record<string, unknown>[]
}

describe.each(FILES)('%s', (name) => {
  const reference = readFileSync(path.join(repository, 'docs/commands.md'), 'utf8')
  const serve = /\n## recue serve\n[\s\S]*?\n## /.exec(reference)?.[0] ?? ''

  test('asks recue for what it has: options of serve, and its variables', () => {
    const command = textOf(name)
      .split('\n')
      .filter((line) => /\bserve\b.*--/.test(line))
    expect(command).toHaveLength(1)
    const flags = command.flatMap((line) => line.match(/--[a-z-]+/g) ?? [])
    expect(flags).toContain('--http')
    for (const flag of flags) expect(`${serve}${sharedOptions(reference)}`).toContain(`\`${flag} `)
    const variables = new Set(textOf(name).match(/\bRECUE_(?!IMAGE)[A-Z_]+/g))
    expect(variables).toContain('RECUE_CAS')
    for (const variable of variables) expect(reference).toContain(`\`${variable}\``)
  })
})

function sharedOptions(reference: string): string {
  return reference.slice(reference.indexOf('\n## Options of every command'))
}

test('the Redis of a fleet forgets what is old, and keeps nothing on disk', () => {
  for (const name of ['compose.yaml', 'kubernetes.yaml'])
    expect(textOf(name)).toContain(
      '"--maxmemory", "2gb", "--maxmemory-policy", "allkeys-lru", "--save", "", "--appendonly", "no"',
    )
})

test('compose.yaml is one of what it says, with a server for each that the balancer knows', () => {
  const [compose] = documentsOf('compose.yaml') as [{ services: Record<string, { command?: string[] }> }]
  expect(Object.keys(compose.services)).toEqual(['one', 'two', 'redis', 'balancer'])
  const named = textOf('nginx.conf').matchAll(/server (\w+):8377/g)
  expect(Array.from(named, ([, name]) => name)).toEqual(['one', 'two'])
})

test('docker compose reads compose.yaml', (context) => {
  skipIf(lacking('docker', 'compose', 'version'), context)
  for (const name of ['compose.yaml', 'nginx.conf']) copyFileSync(path.join(EXAMPLES, name), path.join(folder, name))
  writeFileSync(path.join(folder, 'tokens'), '')
  const keys = { RECUE_CAS: 's3://b', AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' }
  expect(run('docker', ['compose', 'config', '--quiet'], keys)).toMatchObject({ status: 0 })
})

test('kubernetes.yaml has what it speaks of, and probes of what is served', () => {
  const documents = documentsOf('kubernetes.yaml') as { kind: string; metadata: { name: string } }[]
  expect(documents.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
    'Deployment recue',
    'Service recue',
    'PodDisruptionBudget recue',
    'Deployment recue-redis',
    'Service recue-redis',
  ])
  const paths = textOf('kubernetes.yaml').matchAll(/httpGet: \{ path: (\S+),/g)
  expect(Array.from(paths, ([, path]) => path)).toEqual(['/readyz', '/healthz'])
})

test('kubectl reads kubernetes.yaml', (context) => {
  skipIf(lacking('kubectl', 'kustomize', '--help'), context)
  copyFileSync(path.join(EXAMPLES, 'kubernetes.yaml'), path.join(folder, 'kubernetes.yaml'))
  writeFileSync(path.join(folder, 'kustomization.yaml'), 'resources: [kubernetes.yaml]\n')
  const { status, stdout, stderr } = run('kubectl', ['kustomize', folder])
  expect([status, stderr]).toEqual([0, ''])
  expect(stdout.match(/^kind: /gm)).toHaveLength(5)
})

test('systemd takes recue.service', (context) => {
  skipIf(lacking('systemd-analyze', '--version'), context)
  const unit = path.join(folder, 'recue.service')
  // The program need not be installed to look at the rest.
  writeFileSync(unit, textOf('recue.service').replace('/usr/local/bin/recue', process.execPath))
  const { status, stdout, stderr } = run('systemd-analyze', ['verify', unit])
  expect([status, stdout, stderr]).toEqual([0, '', ''])
})

test('nginx takes nginx.conf', (context) => {
  const built = run('nginx', ['-V'])
  const hasStreams = /--with-stream(\s|$)/.test(built.stderr ?? '')
  skipIf(!hasStreams && 'nginx with its stream module is not installed', context)
  const config = path.join(folder, 'nginx.conf')
  // Names of other containers are not known here.
  writeFileSync(config, `pid ${folder}/pid;\n${textOf('nginx.conf').replace(/(one|two):/g, '127.0.0.1:')}`)
  expect(run('nginx', ['-t', '-q', '-e', 'stderr', '-c', config])).toMatchObject({ status: 0 })
})
