import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { packTar, unpackTar } from 'modern-tar'
import { beforeEach, describe, expect, test } from 'vitest'
import type { ActionDigest, Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { ActionResult, type Directory, Tree } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { action, laterResult, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { type MemoryStore, memoryStore } from '../memory/memory-store.ts'
import { readWhole } from '../read-whole.ts'
import { type ExportReport, exportArchive } from './export-archive.ts'
import { importArchive } from './import-archive.ts'

let source: MemoryStore
let keys: ActionDigest[]
let blobs: Uint8Array[]

/** Results that share blobs, one with a tree, one with a large blob, one with nothing. */
beforeEach(async () => {
  source = memoryStore()
  blobs = [content(10, 1), content(5000, 2), content(2_500_000, 3), content(700, 4)]
  const [a, b, large, inTree] = (await Promise.all(blobs.map(keep))) as [Digest, Digest, Digest, Digest]
  keys = ['one', 'two', 'three', 'four'].map(action)
  await source.actions.put(scope, action('one'), { ...result([a, b]), stdoutRaw: Buffer.from('said'), exitCode: 3 })
  await source.actions.put(scope, action('two'), result([b, large]))
  await source.actions.put(scope, action('three'), await withTree(inTree))
  await source.actions.put(scope, action('four'), result([]))
})

async function keep(bytes: Uint8Array): Promise<Digest> {
  await source.blobs.write(scope, digestOf(bytes), bytes)
  return digestOf(bytes)
}

async function withTree(file: Digest) {
  const root: Directory = { files: [{ name: 'f', digest: file, isExecutable: true }], directories: [], symlinks: [] }
  const treeDigest = await keep(Tree.encode({ root, children: [] }).finish())
  return { ...result([]), outputDirectories: [{ path: 'dist', treeDigest, isTopologicallySorted: false }] }
}

async function exported(of: readonly ActionDigest[] = keys, from: MemoryStore = source) {
  const chunks: Uint8Array[] = []
  let report: ExportReport | undefined
  for await (const chunk of exportArchive(from, of, {
    scope,
    onEnd: (said) => {
      report = said
    },
  }))
    chunks.push(chunk)
  return { bytes: Buffer.concat(chunks), report: report as ExportReport }
}

async function* inPieces(bytes: Uint8Array, size = 60_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

const imported = (bytes: Uint8Array, to: MemoryStore, size?: number) =>
  importArchive(to, inPieces(bytes, size), { scope })

describe('what is exported and imported', () => {
  test('is what it was, and complete', async () => {
    const { bytes, report } = await exported()
    expect(report).toMatchObject({ actions: 4, blobs: 5, absent: [] })
    const target = memoryStore()
    expect(await imported(bytes, target)).toEqual({
      actions: 4,
      blobs: 5,
      contentBytes: report.contentBytes,
      known: 0,
      replaced: 0,
    })
    for (const key of keys) expect(await target.actions.get(scope, key)).toEqual(await source.actions.get(scope, key))
    for (const bytes of blobs)
      expect(Buffer.from((await readWhole(target.blobs, scope, digestOf(bytes))) ?? [])).toEqual(Buffer.from(bytes))
  })

  test('has what a later version of the protocol put into a result', async () => {
    const [file] = blobs.map(digestOf)
    const sent = laterResult([file as Digest])
    await source.actions.put(scope, action('later'), ActionResult.decode(sent))
    const target = memoryStore()
    await imported((await exported([action('later')])).bytes, target)
    const lookup = await target.actions.get(scope, action('later'))
    expect(lookup.kind === 'hit' && Buffer.from(lookup.encoded).equals(sent)).toBe(true)
  })

  test('once more, says so', async () => {
    const { bytes } = await exported()
    expect(await imported(bytes, source)).toMatchObject({ actions: 4, known: 4, replaced: 0 })
    await source.actions.put(scope, action('four'), { ...result([]), exitCode: 9 })
    expect(await imported(bytes, source)).toMatchObject({ known: 3, replaced: 1 })
  })

  test('is the same bytes, whatever the order and the history', async () => {
    const { bytes } = await exported()
    const again = await exported([...keys.toReversed(), keys[0] as ActionDigest])
    expect(again.bytes.equals(bytes)).toBe(true)
    const target = memoryStore()
    await imported(bytes, target)
    expect((await exported(keys, target)).bytes.equals(bytes)).toBe(true)
  })

  test('a selection brings its own blobs alone, and names what is not there', async () => {
    const { bytes, report } = await exported([action('three'), action('none')])
    expect(report).toMatchObject({ actions: 1, blobs: 2, absent: [action('none')] })
    const target = memoryStore()
    expect(await imported(bytes, target)).toMatchObject({ actions: 1, blobs: 2 })
    expect(await target.actions.get(scope, action('one'))).toMatchObject({ kind: 'miss' })
  })

  test('an empty selection is an archive too', async () => {
    const { bytes } = await exported([])
    expect(await imported(bytes, memoryStore())).toMatchObject({ actions: 0, blobs: 0 })
  })

  test('is a tar that other programs read', async () => {
    const { bytes } = await exported()
    const names = (await unpackTar(zstdDecompressSync(bytes))).map(({ header }) => header.name)
    expect(names[0]).toBe('recue-archive')
    expect(names.at(-1)).toBe('end')
    expect(names).toContain(`blobs/${digestOf(blobs[1] as Uint8Array).hash}`)
  })
})

describe('an archive that is not what it should be', () => {
  const refused = { code: 'archive.damaged' }

  test('cut off anywhere: is refused, and every result kept until then is whole', async () => {
    const { bytes } = await exported()
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), async (length) => {
        const target = memoryStore()
        const end = await imported(bytes.subarray(0, length), target, 9000).catch((error: unknown) => error)
        // Behind its last entry a tar has zeros, and zlib takes a stream that ends between two blocks for whole.
        if (end instanceof Error || bytes.length - length > 20) expect(end).toMatchObject(refused)
        else expect(end).toMatchObject({ actions: keys.length })
        await expectWhole(target)
      }),
      { numRuns: 25, examples: [[bytes.length - 13], [bytes.length - 1]] },
    )
  })

  test('with a byte flipped anywhere: is refused, and nothing wrong is kept', async () => {
    const tar = zstdDecompressSync((await exported([action('one'), action('three')])).bytes)
    await fc.assert(
      fc.asyncProperty(fc.nat(tar.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const flipped = Buffer.from(tar)
        flipped[at] = (flipped[at] as number) ^ flip
        const target = memoryStore()
        await imported(zstdCompressSync(flipped), target).catch((error: unknown) =>
          expect(error).toMatchObject(refused),
        )
        await expectWhole(target)
      }),
      { numRuns: 200 },
    )
  })

  test.each([
    ['no bytes', Buffer.alloc(0)],
    ['something else', Buffer.from('not an archive at all')],
    ['an empty stream', zstdCompressSync(Buffer.alloc(0))],
    ['another file in zstd', zstdCompressSync(Buffer.alloc(5000, 'x'))],
  ])('%s', async (_name, bytes) => {
    await expect(imported(bytes, memoryStore())).rejects.toMatchObject(refused)
  })

  const tarOf = async (entries: readonly (readonly [string, string | Uint8Array])[]) =>
    zstdCompressSync(
      await packTar(
        entries.map(([name, body]) => ({ header: { name, size: Buffer.from(body).length }, body: Buffer.from(body) })),
      ),
    )
  const head = ['recue-archive', '1\n'] as const
  const hash = digestOf(Buffer.from('x')).hash

  test.each([
    ['another tar', [['a.txt', 'x']]],
    ['an entry that escapes', [head, ['../../etc/passwd', 'x']]],
    ['an entry of another kind', [head, ['blobs/short', 'x']]],
    ['a blob under another name', [head, [`blobs/${'0'.repeat(64)}`, 'x']]],
    ['a large blob under another name', [head, [`blobs/${'0'.repeat(64)}`, content(2_000_000, 9)]]],
    ['a result under another name', [head, [`actions/${hash}-1/${'0'.repeat(64)}`, '']]],
    ['a result that is none', [head, [`actions/${hash}-1/${hash}`, 'x']]],
    ['no end', [head, [`blobs/${hash}`, 'x']]],
    ['something behind the end', [head, ['end', ''], [`blobs/${hash}`, 'x']]],
    [
      'no version',
      [
        ['recue-archive', 'first'],
        ['end', ''],
      ],
    ],
  ] as const)('%s', async (_name, entries) => {
    await expect(imported(await tarOf(entries), memoryStore())).rejects.toMatchObject(refused)
  })

  test('of a newer version', async () => {
    const newer = await tarOf([
      ['recue-archive', '2\n'],
      ['something-new', ''],
    ])
    await expect(imported(newer, memoryStore())).rejects.toMatchObject({ code: 'store.newer-format' })
  })

  test('with a result whose blobs it does not bring', async () => {
    const whole = await unpackTar(zstdDecompressSync((await exported([action('one')])).bytes))
    const without = whole.filter(({ header }) => !header.name.startsWith('blobs/'))
    await expect(imported(zstdCompressSync(await packTar(without)), memoryStore())).rejects.toMatchObject({
      code: 'store.incomplete',
    })
  })

  async function expectWhole(target: MemoryStore): Promise<void> {
    for (const key of keys) {
      const lookup = await target.actions.get(scope, key)
      if (lookup.kind === 'hit') expect(lookup).toEqual(await source.actions.get(scope, key))
    }
    for (const bytes of blobs) {
      const found = await readWhole(target.blobs, scope, digestOf(bytes))
      if (found !== undefined) expect(digestOf(found)).toEqual(digestOf(bytes))
    }
  }
})

test('an aborted one ends with the reason, in both directions', async () => {
  const { bytes } = await exported()
  const signal = AbortSignal.abort(new Error('enough'))
  await expect(importArchive(memoryStore(), inPieces(bytes), { scope, signal })).rejects.toThrow('enough')
  const drained = async () => {
    for await (const _ of exportArchive(source, keys, { scope, signal })) void 0
  }
  await expect(drained()).rejects.toThrow('enough')
})
