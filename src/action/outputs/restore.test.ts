import { lstatSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { DEFAULT_SCOPE } from '../../store/contracts.ts'
import { openCheckout, readTree, resultOf, writeTree } from './restore.fixture.ts'

const BUILT = {
  'dist/main.js': 'main',
  'dist/copy.js': 'main',
  'dist/empty.js': '',
  'dist/bin/tool*': '#!/bin/sh\n',
  'dist/lib/deep/er/a.js': 'a',
  'dist/lib/latest': '->deep/er',
  'dist/broken': '->nowhere',
  'dist/nothing/': '',
}

describe('restored equals built', () => {
  test('an output directory that was deleted', async () => {
    await using checkout = await openCheckout()
    const outputs = checkout.outputs('dist')
    checkout.write(BUILT)
    const built = checkout.read()
    const kept = await checkout.keep(outputs)
    checkout.remove('dist')
    const outcome = await checkout.restore(outputs, kept)
    expect(outcome).toEqual({
      kind: 'restored',
      files: [
        'dist/bin/tool',
        'dist/broken',
        'dist/copy.js',
        'dist/empty.js',
        'dist/lib/deep/er/a.js',
        'dist/lib/latest',
        'dist/main.js',
      ],
      written: 7,
      bytes: 4 + 4 + 10 + 1,
      trashed: [],
      left: [],
    })
    expect(checkout.read()).toEqual(built)
    expect(readdirSync(checkout.workspace.tmpDir)).toEqual([])
  })

  test('files, links, globs and a nested working directory', async () => {
    await using checkout = await openCheckout({ workingDirectory: 'packages/a' })
    checkout.write({ 'packages/a/src.js': 's', 'packages/b/': '' })
    const outputs = checkout.outputs('out.js', 'current', '../b/lib', '*.map', 'gen/**/*.txt')
    checkout.write({
      'packages/a/out.js*': 'out',
      'packages/a/current': '->out.js',
      'packages/b/lib/x.js': 'x',
      'packages/a/a.map': 'a',
      'packages/a/link.map': '->a.map',
      'packages/a/gen/deep/b.txt': 'b',
    })
    const built = checkout.read()
    const kept = await checkout.keep(outputs)
    expect(kept.result.outputDirectories.map(({ path }) => path)).toEqual(['../b/lib'])
    expect(kept.result.outputFiles.map(({ path }) => path)).toEqual(['out.js', 'a.map', 'gen/deep/b.txt'])
    for (const path of ['out.js', 'current', 'a.map', 'link.map', 'gen']) checkout.remove(`packages/a/${path}`)
    checkout.remove('packages/b/lib')
    await checkout.restore(outputs, kept)
    expect(checkout.read()).toEqual(built)
  })

  test('any tree, from any state of the output directory', async () => {
    const name = fc.constantFrom('a', 'b', 'c.js', 'Ünï', '-x', 'new\nline', ' ')
    const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'))
    const content = fc.constantFrom('', 'x', 'y', 'same length', '->a', '->../..')
    const tree = fc.dictionary(path, content, { maxKeys: 8 }).map(withoutConflicts)
    await fc.assert(
      fc.asyncProperty(tree, tree, fc.boolean(), async (built, present, isRecorded) => {
        await using checkout = await openCheckout()
        const outputs = checkout.outputs('dist')
        mkdirSync(join(checkout.root, 'dist'))
        writeTree(join(checkout.root, 'dist'), built)
        const expected = readTree(checkout.root)
        const kept = await checkout.keep(outputs)
        checkout.remove('dist')
        mkdirSync(join(checkout.root, 'dist'))
        writeTree(join(checkout.root, 'dist'), present)
        if (isRecorded) await checkout.keep(outputs)
        const outcome = await checkout.restore(outputs, kept)
        expect(outcome).toMatchObject({ kind: 'restored', left: [] })
        expect(readTree(checkout.root)).toEqual(expected)
        if (isRecorded) expect(checkout.trash()).toEqual({})
        expect(await checkout.restore(outputs, kept)).toMatchObject({ kind: 'restored', written: 0 })
      }),
      { numRuns: 40 },
    )
  })
})

describe('what is right already', () => {
  test('is not touched, and needs no look at the store', async () => {
    await using checkout = await openCheckout()
    const outputs = checkout.outputs('dist')
    checkout.write(BUILT)
    checkout.age()
    const kept = await checkout.keep(outputs)
    const before = lstatSync(join(checkout.root, 'dist/main.js'))
    const store = { ...checkout.workspace.blobs, readBatch: () => expect.unreachable() }
    const workspace = { ...checkout.workspace, blobs: store as never }
    const { restore } = await import('./restore.ts')
    const outcome = await restore(workspace, outputs, kept.result, kept.digest)
    expect(outcome).toMatchObject({ kind: 'restored', written: 0, bytes: 19 })
    expect(outcome.kind === 'restored' && outcome.files.length).toBe(7)
    expect(lstatSync(join(checkout.root, 'dist/main.js'))).toEqual(before)
  })

  test('keeps its times when something beside it is restored', async () => {
    await using checkout = await openCheckout()
    const outputs = checkout.outputs('dist')
    checkout.write(BUILT)
    checkout.age()
    const kept = await checkout.keep(outputs)
    const before = statSync(join(checkout.root, 'dist/main.js'))
    checkout.remove('dist/lib')
    checkout.remove('dist/copy.js')
    expect(await checkout.restore(outputs, kept)).toMatchObject({ written: 3 })
    expect(statSync(join(checkout.root, 'dist/main.js')).ino).toBe(before.ino)
    expect(statSync(join(checkout.root, 'dist/main.js')).mtimeMs).toBe(before.mtimeMs)
    expect(checkout.read('dist')).toMatchObject({ 'copy.js': 'main', 'lib/latest': '->deep/er' })
  })

  test('is known by content when there is no record', async () => {
    await using checkout = await openCheckout()
    const outputs = checkout.outputs('dist')
    checkout.write(BUILT)
    const kept = await checkout.keep(outputs)
    for (const name of checkout.workspace.records.names('outputs', '')) {
      await checkout.workspace.records.remove('outputs', name)
    }
    expect(await checkout.restore(outputs, kept)).toMatchObject({ written: 0, trashed: [] })
  })

  test('gets its executable bit back, without being rewritten', async () => {
    await using checkout = await openCheckout()
    const outputs = checkout.outputs('dist')
    checkout.write(BUILT)
    const kept = await checkout.keep(outputs)
    const { ino } = statSync(join(checkout.root, 'dist/bin/tool'))
    const { chmodSync } = await import('node:fs')
    chmodSync(join(checkout.root, 'dist/bin/tool'), 0o600)
    chmodSync(join(checkout.root, 'dist/main.js'), 0o755)
    expect(await checkout.restore(outputs, kept)).toMatchObject({ kind: 'restored', written: 0 })
    expect(statSync(join(checkout.root, 'dist/bin/tool')).ino).toBe(ino)
    expect(statSync(join(checkout.root, 'dist/bin/tool')).mode & 0o777).toBe(0o700)
    expect(statSync(join(checkout.root, 'dist/main.js')).mode & 0o777).toBe(0o644)
  })

  test('a file that came to a restored directory since is found', async () => {
    await using checkout = await openCheckout()
    const outputs = checkout.outputs('dist')
    checkout.write(BUILT)
    checkout.age()
    const kept = await checkout.keep(outputs)
    expect(await checkout.restore(outputs, kept)).toMatchObject({ trashed: [] })
    checkout.write({ 'dist/lib/deep/mine.txt': 'mine' })
    expect(await checkout.restore(outputs, kept)).toMatchObject({ trashed: ['dist/lib/deep/mine.txt'] })
    expect(checkout.trash()).toEqual({ 'dist/lib/deep/mine.txt': 'mine' })
  })

  test('an edit that keeps size and times is found', async () => {
    await using checkout = await openCheckout()
    const outputs = checkout.outputs('dist')
    checkout.write(BUILT)
    const kept = await checkout.keep(outputs)
    writeFileSync(join(checkout.root, 'dist/main.js'), 'evil')
    await checkout.restore(outputs, kept)
    expect(checkout.read('dist')['main.js']).toBe('main')
  })
})

describe('new files', () => {
  test('are writable, have the mode that the umask leaves, the present time, and no second name', async () => {
    await using checkout = await openCheckout()
    const outputs = checkout.outputs('dist')
    checkout.write(BUILT)
    const kept = await checkout.keep(outputs)
    checkout.remove('dist')
    const before = Date.now()
    await checkout.restore(outputs, kept)
    const umask = process.umask()
    for (const [path, mode] of [
      ['dist/main.js', 0o666],
      ['dist/bin/tool', 0o777],
      ['dist/copy.js', 0o666],
    ] as const) {
      const stats = statSync(join(checkout.root, path))
      expect(stats.mode & 0o777).toBe(mode & ~umask)
      expect(stats.nlink).toBe(1)
      expect(stats.mtimeMs).toBeGreaterThan(before - 50)
    }
  })

  test('large ones too, and several of one content', async () => {
    await using checkout = await openCheckout()
    const outputs = checkout.outputs('dist')
    const large = 'large '.repeat(600_000)
    checkout.write({ 'dist/a.bin': large, 'dist/b.bin*': large })
    const kept = await checkout.keep(outputs)
    checkout.remove('dist')
    await checkout.restore(outputs, kept)
    expect(checkout.read('dist')).toEqual({ 'a.bin': large, 'b.bin*': large })
    expect(statSync(join(checkout.root, 'dist/b.bin')).nlink).toBe(1)
  })
})

describe('nothing is touched', () => {
  test('when a blob is gone', async () => {
    await using checkout = await openCheckout()
    const outputs = checkout.outputs('dist')
    checkout.write(BUILT)
    const kept = await checkout.keep(outputs)
    checkout.remove('dist')
    checkout.write({ 'dist/main.js': 'edited' })
    const { blobs } = checkout.workspace
    const gone = digestOf(Buffer.from('a')).hash
    const partial = {
      ...checkout.workspace,
      blobs: {
        ...blobs,
        read: blobs.read.bind(blobs),
        async *readBatch(...[scope, digests, signal]: Parameters<typeof blobs.readBatch>) {
          for await (const entry of blobs.readBatch(scope, digests, signal)) {
            yield digests[entry.index]?.hash === gone ? { ...entry, bytes: undefined } : entry
          }
        },
      } as never,
    }
    const { restore } = await import('./restore.ts')
    expect(await restore(partial, outputs, kept.result, kept.digest)).toMatchObject({ kind: 'incomplete' })
    expect(checkout.read()).toEqual({ 'dist/main.js': 'edited' })
    expect(readdirSync(checkout.workspace.tmpDir)).toEqual([])
  })

  test('when the tree is gone', async () => {
    await using checkout = await openCheckout()
    const outputs = checkout.outputs('dist')
    const treeDigest = digestOf(Buffer.from('never written'))
    const outputDirectories = [{ path: 'dist', treeDigest, isTopologicallySorted: true }]
    const outcome = await checkout.restore(outputs, resultOf({ outputDirectories }))
    expect(outcome).toEqual({ kind: 'incomplete', digest: treeDigest })
    expect(checkout.read()).toEqual({})
  })

  test.each([
    ['../escape', 'names the output'],
    ['/etc/escape', 'names the output'],
    ['dist/../../escape', 'names the output'],
    ['other', 'no declared output'],
    ['.git/hooks/post-checkout', 'no declared output'],
    ['dist', undefined],
  ])('when a result is for another place: %j', async (path, reason) => {
    await using checkout = await openCheckout()
    const digest = digestOf(Buffer.from('x'))
    await checkout.workspace.blobs.write(DEFAULT_SCOPE, digest, Buffer.from('x'))
    const outputFiles = [{ path, digest, isExecutable: false, contents: Buffer.alloc(0) }]
    const outcome = await checkout.restore(checkout.outputs('dist', '*.x'), resultOf({ outputFiles }))
    if (reason === undefined) expect(outcome.kind).toBe('restored')
    else expect(outcome).toMatchObject({ kind: 'refused', reason: expect.stringContaining(reason) })
    expect(readdirSync(checkout.root)).toEqual(reason === undefined ? ['dist'] : [])
  })

  test('when a result would write through its own link', async () => {
    await using checkout = await openCheckout()
    const digest = digestOf(Buffer.from('x'))
    await checkout.workspace.blobs.write(DEFAULT_SCOPE, digest, Buffer.from('x'))
    const outcome = await checkout.restore(
      checkout.outputs('*.d', '*.d/**'),
      resultOf({
        outputFiles: [{ path: 'a.d/x', digest, isExecutable: false, contents: Buffer.alloc(0) }],
        outputSymlinks: [{ path: 'a.d', target: '/etc' }],
      }),
    )
    expect(outcome).toMatchObject({ kind: 'refused' })
    expect(checkout.read()).toEqual({})
  })

  test('when it is aborted', async () => {
    await using checkout = await openCheckout()
    const outputs = checkout.outputs('dist')
    checkout.write(BUILT)
    const kept = await checkout.keep(outputs)
    checkout.remove('dist')
    const { restore } = await import('./restore.ts')
    const aborted = AbortSignal.abort(new Error('enough'))
    await expect(restore(checkout.workspace, outputs, kept.result, kept.digest, aborted)).rejects.toThrow('enough')
    expect(checkout.read()).toEqual({})
  })
})

describe('folders that are links', () => {
  test('a link in the root is written through', async () => {
    await using checkout = await openCheckout()
    checkout.write({ 'real/keep.txt': 'keep', link: '->real' })
    const outputs = checkout.outputs('link/dist')
    checkout.write({ 'real/dist/a.js': 'a' })
    const kept = await checkout.keep(outputs)
    rmSync(join(checkout.root, 'real/dist'), { recursive: true })
    expect(await checkout.restore(outputs, kept)).toMatchObject({ kind: 'restored', written: 1 })
    expect(checkout.read()).toEqual({ link: '->real', 'real/keep.txt': 'keep', 'real/dist/a.js': 'a' })
  })

  test('one that leaves the root is not', async () => {
    await using checkout = await openCheckout()
    const outputs = checkout.outputs('sub/dist')
    checkout.write({ 'sub/dist/a.js': 'a' })
    const kept = await checkout.keep(outputs)
    checkout.remove('sub')
    mkdirSync(join(checkout.sandbox, 'outside/dist'), { recursive: true })
    writeFileSync(join(checkout.sandbox, 'outside/dist/mine'), 'mine')
    symlinkSync('../../outside', join(checkout.root, 'sub'))
    expect(await checkout.restore(outputs, kept)).toMatchObject({ kind: 'refused' })
    expect(readTree(join(checkout.sandbox, 'outside'))).toEqual({ 'dist/mine': 'mine' })
  })
})

function withoutConflicts(tree: Record<string, string>): Record<string, string> {
  const paths = Object.keys(tree)
  const isParent = (path: string) => paths.some((other) => other.startsWith(`${path}/`))
  return Object.fromEntries(Object.entries(tree).filter(([path]) => !isParent(path)))
}
