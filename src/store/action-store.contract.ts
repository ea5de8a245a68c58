import { afterEach, beforeEach, describe, expect } from 'vitest'
import { type ActionDigest, asActionDigest, type Digest, UNKNOWN_BYTES } from '../digest/digest.ts'
import { digestOf } from '../digest/sha256.ts'
import { ActionResult, Directory, OutputFile, Tree } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { type ActionStore, type BlobStore, DEFAULT_SCOPE as scope } from './contracts.ts'
import { ableTo, type Unable } from './nature.contract.ts'

export interface OpenedActions extends AsyncDisposable {
  readonly actions: ActionStore
  readonly blobs: BlobStore
}

/** What every store of action results keeps to. `open` gives an empty one over empty blobs. */
export function actionStoreContract(name: string, open: () => Promise<OpenedActions>, unable: Unable = {}): void {
  const it = ableTo(unable)
  describe(`${name} as an ActionStore`, () => {
    let opened: OpenedActions
    let actions: ActionStore
    beforeEach(async () => {
      opened = await open()
      actions = opened.actions
    })
    afterEach(() => opened[Symbol.asyncDispose]())

    const keep = async (text: string): Promise<Digest> => {
      const bytes = Buffer.from(text)
      await opened.blobs.write(scope, digestOf(bytes), bytes)
      return digestOf(bytes)
    }

    it('knows nothing at first', async () => {
      expect(await actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'absent' })
      expect(await actions.remove(scope, action('a'))).toBe(false)
    })

    it('gives back the result as it was put, with its digest', async () => {
      const kept = { ...result([await keep('content')]), exitCode: 3, stdoutRaw: Buffer.from('hello') }
      expect(await actions.put(scope, action('a'), kept)).toBe('new')
      const lookup = await actions.get(scope, action('a'))
      const resultDigest = digestOf(ActionResult.encode(kept).finish())
      expect(lookup).toMatchObject({ kind: 'hit', resultDigest })
      if (lookup.kind === 'hit') {
        expect(digestOf(ActionResult.encode(lookup.result).finish())).toEqual(resultDigest)
        expect(digestOf(lookup.encoded)).toEqual(resultDigest)
      }
    })

    it('gives back what a later version of the protocol has in a result', async () => {
      const sent = laterResult([await keep('content')])
      await actions.put(scope, action('a'), ActionResult.decode(sent))
      const lookup = await actions.get(scope, action('a'))
      expect(lookup.kind === 'hit' && Buffer.from(lookup.encoded).equals(sent)).toBe(true)
      expect(lookup.kind === 'hit' && Buffer.from(ActionResult.encode(lookup.result).finish()).equals(sent)).toBe(true)
    })

    it('refuses a result with a blob that is not there, and keeps what it had', async () => {
      const good = result([await keep('content')])
      await actions.put(scope, action('a'), good)
      const gone = digestOf(Buffer.from('never written'))
      for (const bad of [
        result([gone]),
        { ...result([]), stdoutDigest: gone },
        { ...result([]), stderrDigest: gone },
        withTree(gone),
      ])
        await expect(actions.put(scope, action('a'), bad)).rejects.toMatchObject({ code: 'store.incomplete' })
      expect(await actions.get(scope, action('a'))).toMatchObject({ kind: 'hit' })
    })

    it('refuses a tree whose files are not all there, at any depth', async () => {
      const here = await keep('here')
      const gone = digestOf(Buffer.from('gone'))
      for (const [files, isWhole] of [
        [[here], true],
        [[here, gone], false],
      ] as const) {
        const tree = treeOf(files)
        await opened.blobs.write(scope, digestOf(tree), tree)
        const put = actions.put(scope, action('tree'), withTree(digestOf(tree)))
        if (isWhole) expect(await put).toBe('new')
        else await expect(put).rejects.toMatchObject({ code: 'store.incomplete' })
      }
    })

    it.each(['inner', 'root', 'file', undefined])(
      'refuses directories below a root of which %s is not there',
      async (gone) => {
        const write = (bytes: Uint8Array, name: string) =>
          name === gone ? undefined : opened.blobs.write(scope, digestOf(bytes), bytes)
        const file = Buffer.from('file')
        const inner = directoryOf([digestOf(file)], [])
        const root = directoryOf([], [digestOf(inner), digestOf(inner)])
        await Promise.all([write(file, 'file'), write(inner, 'inner'), write(root, 'root')])
        const put = actions.put(scope, action('a'), withRoot(digestOf(root)))
        if (gone === undefined) expect(await put).toBe('new')
        else await expect(put).rejects.toMatchObject({ code: 'store.incomplete' })
      },
    )

    it('refuses a root directory that is none', async () => {
      const none = await keep('\xff\xff not a directory')
      await expect(actions.put(scope, action('a'), withRoot(none))).rejects.toMatchObject({ code: 'store.incomplete' })
    })

    it('refuses a tree that is none', async () => {
      const noTree = await keep('\xff\xff not a tree')
      await expect(actions.put(scope, action('a'), withTree(noTree))).rejects.toMatchObject({
        code: 'store.incomplete',
      })
    })

    it('says of another result whether it is the same work', async () => {
      const [one, two] = [await keep('one'), await keep('two')]
      expect(await actions.put(scope, action('a'), result([one]))).toBe('new')
      expect(await actions.put(scope, action('a'), { ...result([one]), stdoutRaw: Buffer.from('took 3 s') })).toBe(
        'same',
      )
      expect(await actions.put(scope, action('a'), result([two]))).toBe('different')
      expect(await actions.put(scope, action('a'), { ...result([two]), exitCode: 1 })).toBe('different')
    })

    it('lets the last one win, whole', async () => {
      const digests = await Promise.all(Array.from({ length: 20 }, (_, i) => keep(`content ${i}`)))
      await Promise.all(digests.map((digest) => actions.put(scope, action('a'), result([digest]))))
      const lookup = await actions.get(scope, action('a'))
      expect(lookup.kind === 'hit' && lookup.result.outputFiles).toHaveLength(1)
    })

    it('keeps instances apart', async () => {
      await actions.put({ instance: 'red' }, action('a'), result([]))
      expect(await actions.get({ instance: 'blue' }, action('a'))).toEqual({ kind: 'miss', why: 'absent' })
      expect(await actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'absent' })
      expect(await actions.get({ instance: 'red' }, action('a'))).toMatchObject({ kind: 'hit' })
      expect(await actions.remove({ instance: 'blue' }, action('a'))).toBe(false)
    })

    it('is found by who knows only the hash of the action, whatever size it was put under', async () => {
      const unknown = (name: string) => asActionDigest({ ...action(name), sizeBytes: UNKNOWN_BYTES })
      await actions.put(scope, action('a'), result([]))
      await actions.put(scope, unknown('b'), result([]))
      for (const name of ['a', 'b']) expect(await actions.get(scope, unknown(name))).toMatchObject({ kind: 'hit' })
      expect(await actions.get(scope, { ...action('a'), sizeBytes: 1 })).toMatchObject({ kind: 'miss' })
    })

    it('removes', async () => {
      await actions.put(scope, action('a'), result([]))
      expect(await actions.remove(scope, action('a'))).toBe(true)
      expect(await actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'absent' })
    })

    it('refuses to begin when already aborted', async () => {
      await expect(actions.get(scope, action('a'), AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
    })
  })
}

export function action(name: string): ActionDigest {
  return asActionDigest(digestOf(Buffer.from(`action ${name}`)))
}

export function result(files: readonly Digest[]): ActionResult {
  const nothing = ActionResult.decode(new Uint8Array(0))
  const outputFiles = files.map((digest, i) => ({
    path: `f${i}`,
    digest,
    isExecutable: false,
    contents: Buffer.alloc(0),
  }))
  return { ...nothing, outputFiles }
}

/** Encoded, with fields that are not known here: in the result, in its files and in its metadata. */
export function laterResult(files: readonly Digest[]): Buffer {
  const field = (tag: number[], bytes: Uint8Array) => Buffer.concat([Buffer.from([...tag, bytes.length]), bytes])
  const later = Buffer.concat([
    field([0xc2, 0x3e], Buffer.from('the first')),
    field([0xc2, 0x3e], Buffer.from('the second')),
    Buffer.from([0xc8, 0x3e, 0xac, 0x02]),
  ])
  const outputFiles = result(files).outputFiles.map((file) =>
    field([0x12], Buffer.concat([OutputFile.encode(file).finish(), later])),
  )
  return Buffer.concat([...outputFiles, field([0x4a], later), later])
}

function withTree(treeDigest: Digest): ActionResult {
  return { ...result([]), outputDirectories: [{ path: 'dist', treeDigest, isTopologicallySorted: false }] }
}

function withRoot(rootDirectoryDigest: Digest): ActionResult {
  const directory = { path: 'dist', treeDigest: undefined, isTopologicallySorted: false, rootDirectoryDigest }
  return { ...result([]), outputDirectories: [directory] }
}

function directoryOf(files: readonly Digest[], directories: readonly Digest[]): Uint8Array {
  const nodes = files.map((digest, i) => ({ name: `f${i}`, digest, isExecutable: false }))
  const folders = directories.map((digest, i) => ({ name: `d${i}`, digest }))
  return Directory.encode({ files: nodes, directories: folders, symlinks: [] }).finish()
}

/** The files in a folder in a folder. */
function treeOf(files: readonly Digest[]): Uint8Array {
  const nodes = files.map((digest, i) => ({ name: `f${i}`, digest, isExecutable: false }))
  const child: Directory = { files: nodes, directories: [], symlinks: [] }
  const childDigest = digestOf(Directory.encode(child).finish())
  const root: Directory = { files: [], directories: [{ name: 'sub', digest: childDigest }], symlinks: [] }
  return Tree.encode({ root, children: [child] }).finish()
}
