import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statfsSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { reflinkFolder } from '../../store/local/reflink-folder.fixture.ts'
import { clean } from './clean.ts'
import { type Checkout, openCheckout } from './restore.fixture.ts'
import { standing } from './standing.ts'

const NOISE = randomBytes(2_000_000)

describe('with hard links', () => {
  it('large files are the store’s own, read-only; small ones are copied', async () => {
    const checkout = await linking()
    const { outputs, kept } = await keptLarge(checkout)
    expect(await checkout.restore(outputs, kept)).toMatchObject({ kind: 'restored', written: 3 })
    const [large, copy, small] = ['large.bin', 'copy.bin', 'small'].map((name) => at(checkout, name))
    expect([large?.mode, copy?.mode, small?.mode].map((mode) => Number(mode) & 0o222)).toEqual([0, 0, 0o200])
    expect(large?.ino).toBe(copy?.ino)
    expect(large?.nlink).toBe(3)
    expect(read(checkout, 'large.bin').equals(NOISE)).toBe(true)
    checkout.age()
    expect(await checkout.restore(outputs, kept)).toMatchObject({ kind: 'restored', written: 0 })
    expect(standing(checkout.workspace, outputs, kept.digest)).toMatchObject({ written: 0 })
  })

  it('a second checkout gets the same file, and the first stays as it was', async () => {
    const first = await linking()
    const { outputs, kept } = await keptLarge(first)
    await first.restore(outputs, kept)
    const second = await linking({ sandbox: first.sandbox, project: 'other' })
    await second.restore(second.outputs('dist'), kept)
    expect(at(second, 'large.bin').ino).toBe(at(first, 'large.bin').ino)
    expect(await first.restore(outputs, kept)).toMatchObject({ kind: 'restored', written: 0, trashed: [] })
  })

  it('they are deleted by a clean start as others are', async () => {
    const checkout = await linking()
    const { outputs, kept } = await keptLarge(checkout)
    await checkout.restore(outputs, kept)
    expect((await clean(checkout.workspace, outputs)).deleted).toEqual([
      'dist/copy.bin',
      'dist/large.bin',
      'dist/small',
    ])
    expect(await checkout.restore(outputs, kept)).toMatchObject({ written: 3 })
  })

  it('several that are one file are replaced at once', async () => {
    const checkout = await linking()
    const { outputs, kept } = await keptLarge(checkout)
    await checkout.restore(outputs, kept)
    checkout.remove('dist')
    checkout.write({ 'dist/small': 'small', 'dist/large.bin': 'other', 'dist/copy.bin': 'others' })
    const others = await checkout.keep(outputs)
    await checkout.restore(outputs, kept)
    expect(at(checkout, 'large.bin').ino).toBe(at(checkout, 'copy.bin').ino)
    expect(await checkout.restore(outputs, others)).toMatchObject({ kind: 'restored', written: 2, trashed: [] })
  })

  it('what somebody wrote through one is never restored again, and what he wrote is not lost', async () => {
    const checkout = await linking()
    const { outputs, kept } = await keptLarge(checkout)
    await checkout.restore(outputs, kept)
    const path = join(checkout.root, 'dist/large.bin')
    chmodSync(path, 0o644)
    writeFileSync(path, Buffer.from('mine'), { flag: 'r+' })
    const long = new Date(Date.now() - 50_000)
    utimesSync(path, long, long)
    // The blob is no longer whole, so nothing is touched.
    expect(await checkout.restore(outputs, kept)).toMatchObject({ kind: 'incomplete' })
    expect(read(checkout, 'large.bin').subarray(0, 4).toString()).toBe('mine')
  })

  it('one that has the wrong executable bit is replaced; the shared file keeps its mode', async () => {
    const checkout = await linking()
    const { outputs, kept } = await keptLarge(checkout)
    await checkout.restore(outputs, kept)
    checkout.remove('dist')
    checkout.write({ 'dist/small': 'small' })
    writeFileSync(join(checkout.root, 'dist/large.bin'), NOISE, { mode: 0o755 })
    writeFileSync(join(checkout.root, 'dist/copy.bin'), NOISE)
    const executable = await checkout.keep(outputs)
    checkout.remove('dist')
    await checkout.restore(outputs, kept)
    const shared = at(checkout, 'large.bin')
    expect(await checkout.restore(outputs, executable)).toMatchObject({ kind: 'restored', written: 1 })
    expect(at(checkout, 'large.bin').mode & 0o100).toBe(0o100)
    expect(at(checkout, 'large.bin').ino).not.toBe(shared.ino)
    expect(at(checkout, 'copy.bin').mode & 0o777).toBe(0o444)
  })
})

describe('where files can be cloned', () => {
  const ends: (() => void)[] = []
  const folder = reflinkFolder((end) => void ends.unshift(end))
  if (folder === undefined) console.log('skipped: no file system that clones files can be mounted here')
  afterAll(() => {
    for (const end of ends) end()
  })

  it.runIf(folder)('capture and restore share the bytes of what is hardly compressible', async () => {
    const sandbox = join(realpathSync(String(folder)), 'shared')
    mkdirSync(sandbox)
    const checkout = await opened({ sandbox })
    const large = randomBytes(40_000_000)
    checkout.write({ 'dist/small': 'small' })
    writeFileSync(join(checkout.root, 'dist/large.bin'), large, { flush: true })
    const outputs = checkout.outputs('dist')
    const free = freeBytes(sandbox)
    const kept = await checkout.keep(outputs)
    expect(free - freeBytes(sandbox)).toBeLessThan(20_000_000)
    checkout.remove('dist')
    expect(await checkout.restore(outputs, kept)).toMatchObject({ kind: 'restored', written: 2 })
    expect(read(checkout, 'large.bin').equals(large)).toBe(true)
    expect(at(checkout, 'large.bin').mode & 0o777).toBe(0o666 & ~process.umask())
    expect(free - freeBytes(sandbox)).toBeLessThan(20_000_000)
    writeFileSync(join(checkout.root, 'dist/large.bin'), 'changed')
    expect(await checkout.restore(outputs, kept)).toMatchObject({ kind: 'restored', written: 1 })
    expect(read(checkout, 'large.bin').equals(large)).toBe(true)
    expect(readdirSync(join(sandbox, 'cache/tmp'))).toEqual([])
  })
})

function linking(options: { sandbox?: string; project?: string } = {}): Promise<Checkout> {
  return opened({ ...options, store: { hardLink: true } })
}

async function opened(options: Parameters<typeof openCheckout>[0]): Promise<Checkout> {
  const checkout = await openCheckout(options)
  onTestFinished(() => checkout[Symbol.asyncDispose]())
  return checkout
}

/** Kept, long ago, and gone from the workspace. */
async function keptLarge(checkout: Checkout) {
  checkout.write({ 'dist/small': 'small' })
  for (const name of ['large.bin', 'copy.bin']) writeFileSync(join(checkout.root, 'dist', name), NOISE)
  const outputs = checkout.outputs('dist')
  const kept = await checkout.keep(outputs)
  const blobs = join(checkout.sandbox, 'cache/blobs')
  const long = new Date(Date.now() - 100_000)
  for (const name of readdirSync(blobs, { recursive: true, encoding: 'utf8' }))
    utimesSync(join(blobs, name), long, long)
  checkout.remove('dist')
  return { outputs, kept }
}

function at({ root }: Checkout, name: string) {
  return lstatSync(join(root, 'dist', name))
}

function read({ root }: Checkout, name: string): Buffer {
  return readFileSync(join(root, 'dist', name))
}

function freeBytes(dir: string): number {
  execFileSync('sync', ['-f', dir])
  const { bavail, bsize } = statfsSync(dir)
  return bavail * bsize
}
