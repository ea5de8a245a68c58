import { type Digest, EMPTY_DIGEST, sameDigest } from '../digest/digest.ts'
import { Directory } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { Messages } from './messages.ts'

/**
 * How an input differs. `kind`: a file became a link or a folder, or the other way round. `unknown`: it is a folder in
 * which something changed, and what it was like is no longer kept.
 */
export type InputChangeKind = 'added' | 'removed' | 'content' | 'executable' | 'link' | 'kind' | 'unknown'

export interface InputChange {
  /** Relative to the root; a folder ends in `/`, and stands for all in it. */
  readonly path: string
  readonly how: InputChangeKind
}

export interface InputChanges {
  readonly changes: readonly InputChange[]
  /** There are more than were looked for. */
  readonly isCut: boolean
}

/**
 * What differs between two input trees, by path. Reads only folders that differ, so it is as fast for a large tree as for
 * a small one. `limit` changes at most.
 */
export async function inputChanges(
  messages: Messages,
  before: Digest,
  after: Digest,
  limit: number,
): Promise<InputChanges> {
  const found: InputChange[] = []
  await walk(messages, '', before, after, found, limit)
  return { changes: found.slice(0, limit), isCut: found.length > limit }
}

type Node =
  | { readonly kind: 'file'; readonly name: string; readonly digest: Digest; readonly isExecutable: boolean }
  | { readonly kind: 'link'; readonly name: string; readonly target: string }
  | { readonly kind: 'folder'; readonly name: string; readonly digest: Digest }

async function walk(
  messages: Messages,
  base: string,
  before: Digest,
  after: Digest,
  found: InputChange[],
  limit: number,
): Promise<void> {
  if (sameDigest(before, after) || found.length > limit) return
  const [old, now] = await Promise.all([nodesOf(messages, before), nodesOf(messages, after)])
  if (old === undefined || now === undefined) {
    found.push({ path: base, how: 'unknown' })
    return
  }
  for (const name of [...new Set([...old.keys(), ...now.keys()])].sort()) {
    const [was, is] = [old.get(name), now.get(name)]
    if (was?.kind === 'folder' && is?.kind === 'folder') {
      await walk(messages, `${base}${name}/`, was.digest, is.digest, found, limit)
    } else {
      const how = difference(was, is)
      if (how !== undefined) found.push({ path: pathOf(base, is ?? was), how })
    }
    if (found.length > limit) return
  }
}

function difference(was: Node | undefined, is: Node | undefined): InputChangeKind | undefined {
  if (was === undefined) return 'added'
  if (is === undefined) return 'removed'
  if (was.kind === 'link' && is.kind === 'link') return was.target === is.target ? undefined : 'link'
  if (was.kind !== 'file' || is.kind !== 'file') return 'kind'
  if (!sameDigest(was.digest, is.digest)) return 'content'
  return was.isExecutable === is.isExecutable ? undefined : 'executable'
}

function pathOf(base: string, node: Node | undefined): string {
  return `${base}${node?.name ?? ''}${node?.kind === 'folder' ? '/' : ''}`
}

async function nodesOf(messages: Messages, digest: Digest): Promise<Map<string, Node> | undefined> {
  const bytes = sameDigest(digest, EMPTY_DIGEST) ? new Uint8Array(0) : await messages.read(digest)
  if (bytes === undefined) return undefined
  const { files, directories, symlinks } = Directory.decode(bytes)
  const nodes: Node[] = [
    ...files.map(({ name, digest: content, isExecutable }) => ({
      kind: 'file' as const,
      name,
      digest: content ?? EMPTY_DIGEST,
      isExecutable,
    })),
    ...directories.map(({ name, digest: tree }) => ({ kind: 'folder' as const, name, digest: tree ?? EMPTY_DIGEST })),
    ...symlinks.map(({ name, target }) => ({ kind: 'link' as const, name, target })),
  ]
  return new Map(nodes.map((node) => [node.name, node]))
}
