import { createHash } from 'node:crypto'
import { type ActionDigest, asActionDigest, type Digest } from '../../src/digest/digest.ts'
import { digestOf } from '../../src/digest/sha256.ts'
import {
  Action,
  ActionResult,
  Command,
  Directory,
  Tree,
} from '../../src/proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { type BlobStore, DEFAULT_SCOPE, type Ingest } from '../../src/store/contracts.ts'
import type { LocalStore } from '../../src/store/local/local-store.ts'

/** How an entry looks: all of its bytes follow from its name, so that any process can tell whether they are right. */
export interface EntryShape {
  readonly files: number
  readonly fileBytes: number
  /** One output of more than a mebibyte, in a file of its own. */
  readonly largeBytes: number
  /** Contents that all entries of this group have in common. */
  readonly sharedFiles: number
}

export const SMALL: EntryShape = { files: 6, fileBytes: 900, largeBytes: 0, sharedFiles: 2 }

/** Bytes that do not compress and follow from `seed`. */
export function bytesOf(seed: string, length: number): Buffer {
  return createHash('shake256', { outputLength: length }).update(seed).digest()
}

interface Entry {
  readonly key: ActionDigest
  readonly result: ActionResult
  readonly blobs: readonly { readonly digest: Digest; readonly bytes: Buffer }[]
}

/** The entry of that name: an action with its command and inputs, a tree of outputs, and a file beside it. */
export function entryOf(name: string, shape: EntryShape = SMALL): Entry {
  const blobs: { digest: Digest; bytes: Buffer }[] = []
  const add = (bytes: Uint8Array) => {
    const digest = digestOf(bytes)
    blobs.push({ digest, bytes: Buffer.from(bytes) })
    return digest
  }
  const files = Array.from({ length: shape.files }, (_, i) => ({
    ...NO_FILE,
    name: `f${i}`,
    digest: add(bytesOf(i < shape.sharedFiles ? `shared ${i}` : `${name} ${i}`, shape.fileBytes)),
  }))
  const tree = add(Tree.encode({ root: directoryOf(files), children: [] }).finish())
  const command = add(Command.encode({ ...Command.decode(NOTHING), arguments: ['make', name] }).finish())
  const inputRootDigest = add(
    Directory.encode(directoryOf([{ ...NO_FILE, name, digest: digestOf(bytesOf(name, 9)) }])).finish(),
  )
  const key = add(Action.encode({ ...Action.decode(NOTHING), commandDigest: command, inputRootDigest }).finish())
  const outputFiles =
    shape.largeBytes === 0
      ? []
      : [
          {
            ...NO_FILE,
            contents: NOTHING,
            path: 'large',
            nodeProperties: undefined,
            digest: add(bytesOf(`${name} large`, shape.largeBytes)),
          },
        ]
  const result: ActionResult = {
    ...ActionResult.decode(NOTHING),
    outputDirectories: [
      { path: 'out', treeDigest: tree, isTopologicallySorted: false, rootDirectoryDigest: undefined },
    ],
    outputFiles,
    stdoutRaw: Buffer.from(name),
  }
  return { key: asActionDigest(key), result, blobs }
}

const NOTHING = Buffer.alloc(0)
const NO_FILE = { isExecutable: false }

function directoryOf(files: Directory['files']): Directory {
  return { ...Directory.decode(NOTHING), files }
}

/** Writes all blobs of the entry, then puts its result. */
export async function saveEntry(
  store: Pick<LocalStore, 'actions' | 'blobs'>,
  name: string,
  shape: EntryShape = SMALL,
): Promise<void> {
  const { key, result, blobs } = entryOf(name, shape)
  await Promise.all(blobs.map(({ digest, bytes }) => store.blobs.write(DEFAULT_SCOPE, digest, bytes)))
  await store.actions.put(DEFAULT_SCOPE, key, result)
}

/**
 * `whole`: the entry is there with all of its bytes. `absent`: a miss. `lost`: the look-up said hit and a blob could not
 * be read afterwards, which a store may only say after damage or in a race with the collector. Wrong bytes throw.
 */
export async function checkEntry(
  store: { readonly actions: LocalStore['actions']; readonly blobs: BlobStore & Ingest },
  name: string,
  shape: EntryShape = SMALL,
): Promise<'whole' | 'absent' | 'lost'> {
  const { key, result, blobs } = entryOf(name, shape)
  const found = await store.actions.get(DEFAULT_SCOPE, key)
  if (found.kind === 'miss') return 'absent'
  const said = ActionResult.encode(found.result).finish()
  if (!Buffer.from(said).equals(ActionResult.encode(result).finish())) throw new Error(`wrong result for ${name}`)
  const needed = blobs.slice(0, shape.files + 1).concat(blobs.slice(shape.files + 4))
  let isWhole = true
  for await (const { index, bytes } of store.blobs.readBatch(
    DEFAULT_SCOPE,
    needed.map(({ digest }) => digest),
  )) {
    if (bytes === undefined) isWhole = false
    else if (!needed[index]?.bytes.equals(bytes)) throw new Error(`wrong bytes in ${name}, blob ${index}`)
  }
  return isWhole ? 'whole' : 'lost'
}
