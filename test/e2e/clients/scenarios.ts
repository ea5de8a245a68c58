import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, beforeEach, describe, expect, type TestContext, test } from 'vitest'
import { type Runtime, runtimes } from '../runtimes.ts'
import { killing, READ_TOKEN, type Served, serveStore, WRITE_TOKEN } from '../served.ts'
import { skipIf } from '../skip-if.ts'
import { type Built, type Client, type Remote, type Scenario, STEPS } from './client.ts'

const [executable, node] = runtimes as [Runtime, Runtime]
let folder: string
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'recue-e2e-clients-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const ALL_BUILT = { status: 0, hits: 0, misses: STEPS }
const ALL_HITS = { status: 0, hits: STEPS, misses: 0 }

/** Takes each client through the scenarios that are its own, in a test each. */
export function scenarios(...clients: readonly Client[]): void {
  describe.each(clients)('$protocol: $name', scenariosOf)
}

function scenariosOf(client: Client): void {
  const missing = once(() => client.missing())
  beforeEach((context) => skipIf(missing(), context))
  const fill = once(() => filled(client, executable))
  const scenario = (name: Scenario, body: (context: TestContext) => Promise<void>) => {
    if (client.only?.includes(name) ?? true) test(name, body)
  }

  scenario('cold build fills', async () => {
    expectBuilt((await fill()).cold, ALL_BUILT)
  })

  scenario('clean build hits', async () => {
    expectBuilt((await fill()).clean, ALL_HITS)
  })

  scenario('on Node', async () => {
    const { cold, clean } = await filled(client, node)
    expectBuilt(cold, ALL_BUILT)
    expectBuilt(clean, ALL_HITS)
  })

  scenario('server restarted', async () => {
    await using server = await serveStore(executable, (await fill()).cacheDir)
    expectBuilt(await built(client, server), ALL_HITS)
  })

  scenario('server killed during', async (context) => {
    skipIf(client.needsFront && `${client.needsFront}: needs the front of recue connect`, context)
    await using server = await serveStore(executable, mkdtempSync(path.join(folder, 'cache-')))
    expectBuilt(await built(client, server, { during: killing(server) }), ALL_BUILT)
    await expect(fetch(server.url)).rejects.toThrow()
  })

  scenario('entries evicted', async () => {
    const cacheDir = copyOf((await fill()).cacheDir)
    await using server = await serveStore(executable, cacheDir)
    recue('gc', '--target', '0', '--cache-dir', cacheDir)
    expectBuilt(await built(client, server), ALL_BUILT)
    expectBuilt(await built(client, server), ALL_HITS)
  })

  scenario('entries corrupted', async () => {
    const cacheDir = copyOf((await fill()).cacheDir)
    corrupt(cacheDir)
    await using server = await serveStore(executable, cacheDir)
    expectBuilt(await built(client, server), ALL_BUILT)
  })

  scenario('wrong token', async () => {
    await using server = await serveStore(executable, copyOf((await fill()).cacheDir))
    expectBuilt(await built(client, server, { token: 'a-token-of-nobodys-0123' }), ALL_BUILT)
  })

  scenario('token that reads', async () => {
    const empty = mkdtempSync(path.join(folder, 'cache-'))
    await using server = await serveStore(executable, empty)
    expectBuilt(await built(client, server, { token: READ_TOKEN }), ALL_BUILT)
    expect(entriesIn(empty)).toBe(0)
    await using full = await serveStore(executable, (await fill()).cacheDir)
    expectBuilt(await built(client, full, { token: READ_TOKEN }), ALL_HITS)
  })
}

interface Filled {
  readonly cacheDir: string
  readonly cold: Built
  readonly clean: Built
}

/** Two checkouts, one after the other, on a server whose store was empty. */
async function filled(client: Client, runtime: Runtime): Promise<Filled> {
  const cacheDir = mkdtempSync(path.join(folder, 'cache-'))
  await using server = await serveStore(runtime, cacheDir)
  return { cacheDir, cold: await built(client, server), clean: await built(client, server) }
}

/** A build in a checkout of its own; what it made is held against what the client makes with no cache. */
async function built(client: Client, server: Served, { token = WRITE_TOKEN, during = ':' } = {}): Promise<Built> {
  const { result, outputs } = await inCheckout(client, during, { http: server.url, token })
  expect(outputs, result.said).toEqual(await withoutCache(client))
  return result
}

const references = new Map<Client, Promise<Readonly<Record<string, string>>>>()

function withoutCache(client: Client): Promise<Readonly<Record<string, string>>> {
  const known = references.get(client) ?? inCheckout(client, ':', undefined).then(({ outputs }) => outputs)
  references.set(client, known)
  return known
}

async function inCheckout(client: Client, during: string, remote: Remote | undefined) {
  const root = mkdtempSync(path.join(folder, 'checkout-'))
  await client.write(root, during)
  try {
    const result = await client.build(root, remote)
    return { result, outputs: Object.fromEntries(client.outputs.map((name) => [name, stateOf(path.join(root, name))])) }
  } finally {
    await client.leave?.(root)
    rmSync(root, { recursive: true, force: true })
  }
}

function stateOf(file: string): string {
  return existsSync(file) ? createHash('sha256').update(readFileSync(file)).digest('hex') : 'absent'
}

function expectBuilt({ said, ...counts }: Built, expected: Omit<Built, 'said'>): void {
  expect(counts, said).toEqual(expected)
}

function copyOf(cacheDir: string): string {
  const copy = mkdtempSync(path.join(folder, 'cache-'))
  cpSync(cacheDir, copy, { recursive: true })
  return copy
}

/** Every blob that is kept, wherever it lies; what says that it is there stays as it is. A large one is right but for its end. */
function corrupt(cacheDir: string): void {
  const files = readdirSync(cacheDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  for (const { parentPath, name } of files) {
    const file = path.join(parentPath, name)
    const [room] = path.relative(cacheDir, file).split(path.sep)
    const bytes = readFileSync(file)
    if (room === 'journal') writeFileSync(file, flipped(bytes))
    if (room === 'blobs') writeFileSync(file, Buffer.concat([bytes.subarray(0, -64), flipped(bytes.subarray(-64))]))
  }
  using index = new DatabaseSync(path.join(cacheDir, 'index.db'))
  const change = index.prepare('UPDATE blobs SET place = ? WHERE hash = ? AND stored = 0')
  for (const { hash, place } of index.prepare('SELECT hash, place FROM blobs').all())
    change.run(flipped(place as Uint8Array), hash as Uint8Array)
}

function flipped(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, i) => (i % 16 === 15 || i === bytes.length - 1 ? byte ^ 0x55 : byte))
}

function entriesIn(cacheDir: string): number {
  return (JSON.parse(recue('ls', '--json', '--cache-dir', cacheDir)) as unknown[]).length
}

function recue(...args: readonly string[]): string {
  const [program = '', ...before] = executable.argv
  return execFileSync(program, [...before, ...args], { encoding: 'utf8' })
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}
