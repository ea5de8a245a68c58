import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'
import { crc32c } from '../../digest/crc32c.ts'
import type { StatIdentity } from '../../digest/stat-identity.ts'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { Workspace } from '../workspace.ts'
import type { EncodedRecord } from './workspace-record.ts'

/** One change of the workspace. `path` is relative to the root, `before` how the thing there looks before it. */
export type Step =
  | { readonly kind: 'remove'; readonly path: string; readonly before: StatIdentity }
  | { readonly kind: 'trash'; readonly path: string; readonly before: StatIdentity; readonly to: string }
  /** Only if nothing is in it. */
  | { readonly kind: 'rmdir'; readonly path: string }
  | { readonly kind: 'move'; readonly path: string; readonly before: StatIdentity | undefined; readonly from: string }
  | { readonly kind: 'chmod'; readonly path: string; readonly before: StatIdentity; readonly mode: number }

/** A restore of several steps, written down before the first of them. */
export interface RestoreRecord {
  /** Absolute; all that is to be moved lies in it. */
  readonly folder: string
  /** In the order in which they are to be done. */
  readonly steps: readonly Step[]
  /** What {@link saveRecord} is to keep when all is done: the outputs by content. */
  readonly outputs: EncodedRecord
}

const KINDS = ['remove', 'trash', 'rmdir', 'move', 'chmod'] as const

export function encodeRestoreRecord({ folder, steps, outputs }: RestoreRecord): Uint8Array {
  const writer = new BinaryWriter()
  writer.uint32(10).string(folder)
  writer.uint32(18).bytes(outputs.stats)
  writer.uint32(26).bytes(outputs.digests)
  for (const step of steps) {
    writer.uint32(34).fork()
    writer.uint32(8).uint32(KINDS.indexOf(step.kind))
    writer.uint32(18).string(step.path)
    if ('before' in step && step.before !== undefined) writer.uint32(26).bytes(encodeIdentity(step.before))
    if (step.kind === 'trash') writer.uint32(34).string(step.to)
    if (step.kind === 'move') writer.uint32(34).string(step.from)
    if (step.kind === 'chmod') writer.uint32(40).uint32(step.mode)
    writer.join()
  }
  return writer.finish()
}

/** Undefined for bytes of another layout. */
export function decodeRestoreRecord(bytes: Uint8Array): RestoreRecord | undefined {
  const steps: Step[] = []
  let folder = ''
  let stats: Uint8Array = new Uint8Array(0)
  let digests: Uint8Array = new Uint8Array(0)
  try {
    const reader = new BinaryReader(bytes)
    while (reader.pos < reader.len) {
      const tag = reader.uint32()
      if (tag === 10) folder = reader.string()
      else if (tag === 18) stats = reader.bytes()
      else if (tag === 26) digests = reader.bytes()
      else if (tag === 34) steps.push(decodeStep(reader.bytes()))
      else reader.skip(tag & 7)
    }
  } catch {
    return undefined
  }
  return folder === '' ? undefined : { folder, steps, outputs: { stats, digests } }
}

/** Names of the restores of this workspace that began and did not end, whoever is at them. */
export function unfinishedRestores({ root, records }: Pick<Workspace, 'root' | 'records'>): string[] {
  return records.names('restore', `${root}//`)
}

/** One that has to do with these outputs. */
export function hasUnfinishedRestore(
  workspace: Pick<Workspace, 'root' | 'records'>,
  outputs: readonly OutputDeclaration[],
): boolean {
  return unfinishedRestores(workspace).some((name) => {
    const bytes = workspace.records.load('restore', name)
    const record = bytes && decodeRestoreRecord(bytes)
    if (record === undefined) return false
    return record.steps.some(({ path }) => outputs.some((output) => touches(path, output)))
  })
}

/** Whose restore it is that steps are being taken: one at a time in a workspace. File names have limits, so a checksum. */
export function restoreLease({ root }: Pick<Workspace, 'root'>): string {
  return `restore-${crc32c(Buffer.from(root)).toString(16)}`
}

function touches(path: string, output: OutputDeclaration): boolean {
  if (output.kind === 'glob' || path === output.path) return true
  return path.startsWith(`${output.path}/`) || output.path.startsWith(`${path}/`)
}

function decodeStep(bytes: Uint8Array): Step {
  const reader = new BinaryReader(bytes)
  let kind: Step['kind'] | undefined
  let path = ''
  let before: StatIdentity | undefined
  let place = ''
  let mode = 0
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag === 8) kind = KINDS[reader.uint32()]
    else if (tag === 18) path = reader.string()
    else if (tag === 26) before = decodeIdentity(reader.bytes())
    else if (tag === 34) place = reader.string()
    else if (tag === 40) mode = reader.uint32()
    else reader.skip(tag & 7)
  }
  if (kind === 'rmdir') return { kind, path }
  if (kind === 'move') return { kind, path, before, from: place }
  if (kind === undefined || before === undefined) throw new Error('no step')
  if (kind === 'trash') return { kind, path, before, to: place }
  return kind === 'chmod' ? { kind, path, before, mode } : { kind, path, before }
}

function encodeIdentity({ mtimeMs, ctimeMs, size, ino, mode }: StatIdentity): Uint8Array {
  return new Uint8Array(Float64Array.of(mtimeMs, ctimeMs, size, ino, mode).buffer)
}

function decodeIdentity(bytes: Uint8Array): StatIdentity {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 40)
  const [mtimeMs, ctimeMs, size, ino, mode] = [0, 8, 16, 24, 32].map((at) => view.getFloat64(at, true)) as [
    number,
    number,
    number,
    number,
    number,
  ]
  return { mtimeMs, ctimeMs, size, ino, mode }
}
