import { execFileSync } from 'node:child_process'
import { appendFileSync, chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { Directory, Tree } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { DEFAULT_SCOPE } from '../../store/contracts.ts'
import { capture } from './capture.ts'
import { type Checkout, openCheckout } from './restore.fixture.ts'

async function blob({ workspace }: Checkout, digest: Digest | undefined): Promise<Buffer> {
  for await (const { bytes } of workspace.blobs.readBatch(DEFAULT_SCOPE, [digest as Digest])) {
    if (bytes !== undefined) return Buffer.from(bytes)
  }
  throw new Error('not kept')
}

describe('a captured directory', () => {
  test('is a Tree: root first, names in order, equal folders once, parents before children', async () => {
    await using checkout = await openCheckout()
    checkout.write({
      'dist/b/shared/x.js': 'x',
      'dist/a/shared/x.js': 'x',
      'dist/shared/x.js': 'x',
      'dist/z.js*': 'z',
      'dist/ab.js': 'ab',
      'dist/link': '->../anywhere',
      'dist/empty/': '',
    })
    const { result } = await checkout.keep(checkout.outputs('dist'))
    const [output] = result.outputDirectories
    expect(output).toMatchObject({ path: 'dist', isTopologicallySorted: true })
    const bytes = await blob(checkout, output?.treeDigest)
    const tree = Tree.decode(bytes)
    expect(Buffer.from(Tree.encode(tree).finish())).toEqual(bytes)
    expect(tree.root?.files.map(({ name, isExecutable }) => [name, isExecutable])).toEqual([
      ['ab.js', false],
      ['z.js', true],
    ])
    expect(tree.root?.symlinks).toEqual([{ name: 'link', target: '../anywhere', nodeProperties: undefined }])
    expect(tree.root?.directories.map(({ name }) => name)).toEqual(['a', 'b', 'empty', 'shared'])

    const digests = tree.children.map((child) => digestOf(Directory.encode(child).finish()).hash)
    expect(new Set(digests).size).toBe(digests.length)
    expect(tree.children.length).toBe(3)
    for (const [i, child] of tree.children.entries()) {
      for (const { digest } of child.directories) expect(digests.indexOf(digest?.hash as string)).toBeGreaterThan(i)
    }
    expect(await blob(checkout, output?.rootDirectoryDigest)).toEqual(
      Buffer.from(Directory.encode(tree.root as Directory).finish()),
    )
    const all = [tree.root as Directory, ...tree.children].flatMap(({ directories }) => directories)
    for (const { digest } of all) expect(digestOf(await blob(checkout, digest)).hash).toBe(digest?.hash)
  })

  test('has the same digest however it came to be', async () => {
    await using one = await openCheckout()
    await using other = await openCheckout()
    one.write({ 'dist/a.js': 'a', 'dist/é/b.js': 'b', 'dist/\u{1F600}': 's', 'dist/\uFF5E': 'w' })
    other.write({ 'dist/\uFF5E': 'w', 'dist/\u{1F600}': 's', 'dist/é/b.js': 'b', 'dist/a.js': 'a' })
    const a = await one.keep(one.outputs('dist'))
    const b = await other.keep(other.outputs('dist'))
    expect(a.digest).toEqual(b.digest)
  })
})

describe('what is kept', () => {
  test('says how much, and of what', async () => {
    await using checkout = await openCheckout()
    const large = Buffer.alloc(3 << 20, 'large')
    checkout.write({ 'dist/a.js': 'abc', 'dist/b/c.js': 'abc', 'dist/l': '->a.js', 'one.txt': 'one', 'x.map': '' })
    writeFileSync(join(checkout.root, 'dist/large.bin'), large)
    const captured = await capture(checkout.workspace, checkout.outputs('dist', 'one.txt', '*.map', 'dist/*.js'))
    expect(captured).toMatchObject({
      kind: 'captured',
      files: ['dist/a.js', 'dist/b/c.js', 'dist/l', 'dist/large.bin', 'one.txt', 'x.map'],
      bytes: 9 + large.length,
    })
    expect(await checkout.workspace.blobs.missing(DEFAULT_SCOPE, [digestOf(large)])).toEqual([])
  })

  test('a literal link is kept as a link, whatever it points to', async () => {
    await using checkout = await openCheckout()
    checkout.write({ current: '->/etc', 'real/a': 'a', also: '->real' })
    const captured = await capture(checkout.workspace, checkout.outputs('current', 'also'))
    if (captured.kind !== 'captured') throw new Error(captured.kind)
    expect(captured.outputs.outputSymlinks.map(({ path, target }) => [path, target])).toEqual([
      ['also', 'real'],
      ['current', '/etc'],
    ])
    expect(captured.outputs.outputDirectories).toEqual([])
  })

  test('unchanged files are not read again', async () => {
    await using checkout = await openCheckout()
    checkout.write({ 'dist/a.js': 'a', 'dist/b.js': 'b' })
    checkout.age()
    const first = await checkout.keep(checkout.outputs('dist'))
    chmodSync(join(checkout.root, 'dist/a.js'), 0o000)
    chmodSync(join(checkout.root, 'dist/a.js'), 0o644)
    checkout.age()
    await checkout.keep(checkout.outputs('dist'))
    const again = await capture(checkout.workspace, checkout.outputs('dist'))
    expect(again).toMatchObject({ kind: 'captured', outputs: { outputDirectories: first.result.outputDirectories } })
  })

  test('what is missing is named', async () => {
    await using checkout = await openCheckout()
    checkout.write({ 'dist/a.js': 'a' })
    const outputs = checkout.outputs('dist', 'lib', 'one.txt', '*.map')
    expect(await capture(checkout.workspace, outputs)).toEqual({ kind: 'missing', paths: ['lib', 'one.txt'] })
  })
})

describe('not kept', () => {
  test('a pipe', async () => {
    await using checkout = await openCheckout()
    checkout.write({ 'dist/a.js': 'a' })
    execFileSync('mkfifo', [join(checkout.root, 'dist/pipe'), join(checkout.root, 'out.pipe')])
    for (const pattern of ['dist', 'out.pipe', '*.pipe']) {
      const outcome = await capture(checkout.workspace, checkout.outputs(pattern))
      expect(outcome).toMatchObject({ kind: 'unkeepable', reason: expect.stringContaining('pipe') })
    }
  })

  test('a name that is not UTF-8', async () => {
    await using checkout = await openCheckout()
    checkout.write({ 'dist/a.js': 'a', 'dist/\uFFFD': 'a real one' })
    expect(await capture(checkout.workspace, checkout.outputs('dist'))).toMatchObject({ kind: 'captured' })
    writeFileSync(Buffer.concat([Buffer.from(join(checkout.root, 'dist/')), Buffer.from([0xff, 0xfe])]), 'odd')
    const outcome = await capture(checkout.workspace, checkout.outputs('dist'))
    expect(outcome).toEqual({ kind: 'unkeepable', reason: 'a file name in "dist" is not UTF-8' })
  })

  test('what cannot be read', async ({ skip }) => {
    skip(process.getuid?.() === 0, 'root reads everything')
    await using checkout = await openCheckout()
    checkout.write({ 'dist/a.js': 'a' })
    chmodSync(join(checkout.root, 'dist/a.js'), 0o000)
    expect(await capture(checkout.workspace, checkout.outputs('dist'))).toMatchObject({ kind: 'unkeepable' })
  })

  test.each([
    ['grows', (path: string) => appendFileSync(path, 'more')],
    ['is rewritten', (path: string) => writeFileSync(path, 'B')],
    ['goes', (path: string) => rmSync(path)],
    ['becomes a link', (path: string) => symlinkSync('a.js', (rmSync(path) as undefined) ?? path)],
    ['gets a neighbour', (path: string) => mkdirSync(`${path}.d`)],
  ])('a file that %s meanwhile', async (_, change) => {
    await using checkout = await openCheckout()
    checkout.write({ 'dist/a.js': 'a', 'dist/b.js': 'b' })
    checkout.age()
    const { blobs } = checkout.workspace
    let hasChanged = false
    const meanwhile = {
      missing(...args: Parameters<typeof blobs.missing>) {
        if (!hasChanged) change(join(checkout.root, 'dist/b.js'))
        hasChanged = true
        return blobs.missing(...args)
      },
      write: blobs.write.bind(blobs),
    }
    const outcome = await capture({ ...checkout.workspace, blobs: meanwhile as never }, checkout.outputs('dist'))
    expect(outcome).toMatchObject({ kind: 'unkeepable', reason: expect.stringContaining('changed while') })
  })

  test('an output that leads out of the root by now', async () => {
    await using checkout = await openCheckout()
    const outputs = checkout.outputs('sub/dist')
    mkdirSync(join(checkout.sandbox, 'outside/dist'), { recursive: true })
    symlinkSync('../../outside', join(checkout.root, 'sub'))
    expect(await capture(checkout.workspace, outputs)).toMatchObject({ kind: 'unkeepable' })
  })

  test('files whose content the store could not write', async () => {
    await using checkout = await openCheckout()
    checkout.write({ 'dist/a.js': 'a' })
    const content = digestOf(Buffer.from('a')).hash
    const { blobs } = checkout.workspace
    const full = {
      missing: blobs.missing.bind(blobs),
      write: (...args: Parameters<typeof blobs.write>) =>
        args[1].hash === content ? Promise.reject(new Error('no space')) : blobs.write(...args),
    }
    const capturing = capture({ ...checkout.workspace, blobs: full as never }, checkout.outputs('dist'))
    await expect(capturing).rejects.toThrow('no space')
  })

  test('anything, when it is aborted', async () => {
    await using checkout = await openCheckout()
    checkout.write({ 'dist/a.js': 'a' })
    const aborted = AbortSignal.abort(new Error('enough'))
    await expect(capture(checkout.workspace, checkout.outputs('dist'), aborted)).rejects.toThrow('enough')
  })
})
