import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { DEFAULT_SCOPE } from '../../store/contracts.ts'
import { type LocalStore, type LocalStoreOptions, openLocalStore } from '../../store/local/local-store.ts'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { Workspace } from '../workspace.ts'
import { capture } from './capture.ts'
import { declareOutputs } from './output-declarations.ts'
import { restore } from './restore.ts'
import type { RestoreOutcome } from './restore-outcome.ts'

/** A checkout in a temp folder, a real store beside it, and words for what a test does with them. */
export interface Checkout extends AsyncDisposable {
  readonly workspace: Workspace
  readonly root: string
  /** All of it is the test's: root, cache and home lie in it. */
  readonly sandbox: string
  readonly store: LocalStore
  outputs(...patterns: string[]): readonly OutputDeclaration[]
  /** Path → content; a content that begins with `->` is a link's text, a path that ends with `/` an empty folder. */
  write(files: Readonly<Record<string, string>>): void
  remove(path: string): void
  /** Everything below a path, as {@link write} takes it, with `*` behind executable files; `.git` left out. */
  read(path?: string): Record<string, string>
  /** Makes everything look long unchanged, so that no stat is too young to be trusted. */
  age(): void
  /** Captures and remembers. */
  keep(outputs: readonly OutputDeclaration[]): Promise<KeptResult>
  restore(outputs: readonly OutputDeclaration[], kept: KeptResult): Promise<RestoreOutcome>
  trash(): Record<string, string>
}

export interface KeptResult {
  readonly result: ActionResult
  readonly digest: Digest
}

export async function openCheckout(
  options: { sandbox?: string; workingDirectory?: string; project?: string; store?: Partial<LocalStoreOptions> } = {},
): Promise<Checkout> {
  const sandbox = options.sandbox ?? realpathSync(mkdtempSync(join(tmpdir(), 'recue-outputs-')))
  const root = join(sandbox, 'home', options.project ?? 'project')
  const dir = join(sandbox, 'cache')
  mkdirSync(root, { recursive: true })
  const store = await openLocalStore({ ...options.store, dir })
  const { workingDirectory = '' } = options
  const workspace: Workspace = {
    root,
    workingDirectory,
    blobs: store.blobs,
    files: store.files,
    scope: DEFAULT_SCOPE,
    records: store.records,
    leases: store.leases,
    cacheDir: dir,
    trashDir: join(dir, 'trash'),
    tmpDir: join(dir, 'tmp'),
    home: join(sandbox, 'home'),
  }
  return {
    workspace,
    root,
    sandbox,
    store,
    outputs: (...patterns) => declareOutputs(patterns, { ...workspace, workingDirectory }),
    write: (files) => writeTree(root, files),
    remove: (path) => rmSync(join(root, path), { recursive: true }),
    read: (path = '.') => readTree(join(root, path)),
    age: () => ageTree(root),
    async keep(outputs) {
      const captured = await capture(workspace, outputs)
      if (captured.kind !== 'captured') throw new Error(`not captured: ${JSON.stringify(captured)}`)
      const kept = resultOf(captured.outputs)
      await captured.remember(kept.digest)
      return kept
    },
    restore: (outputs, { result, digest }) => restore(workspace, outputs, result, digest),
    trash: () => trashed(workspace.trashDir),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]()
      if (options.sandbox === undefined) rmSync(sandbox, { recursive: true, force: true })
    },
  }
}

export function resultOf(
  outputs: Partial<Pick<ActionResult, 'outputFiles' | 'outputDirectories' | 'outputSymlinks'>>,
): KeptResult {
  const result: ActionResult = {
    outputFiles: [],
    outputDirectories: [],
    outputSymlinks: [],
    outputFileSymlinks: [],
    outputDirectorySymlinks: [],
    exitCode: 0,
    stdoutRaw: Buffer.alloc(0),
    stderrRaw: Buffer.alloc(0),
    ...outputs,
  }
  return { result, digest: digestOf(ActionResult.encode(result).finish()) }
}

export function writeTree(root: string, files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) {
    const isExecutable = name.endsWith('*')
    const path = join(root, isExecutable ? name.slice(0, -1) : name)
    mkdirSync(name.endsWith('/') ? path : dirname(path), { recursive: true })
    if (name.endsWith('/')) continue
    if (content.startsWith('->')) symlinkSync(content.slice(2), path)
    else writeFileSync(path, content)
    if (isExecutable) chmodSync(path, 0o755)
  }
}

export function readTree(folder: string, prefix = ''): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of readdirSync(folder).sort()) {
    if (name === '.git') continue
    const path = join(folder, name)
    const stats = lstatSync(path)
    if (stats.isSymbolicLink()) found[prefix + name] = `->${readlinkSync(path)}`
    else if (stats.isFile()) found[prefix + name + (stats.mode & 0o100 ? '*' : '')] = readFileSync(path, 'utf8')
    else if (!stats.isDirectory()) found[prefix + name] = 'special'
    else {
      const inner = readTree(path, `${prefix}${name}/`)
      if (Object.keys(inner).length === 0) found[`${prefix}${name}/`] = ''
      Object.assign(found, inner)
    }
  }
  return found
}

/** Without the name of the clean-up's own folder. */
function trashed(folder: string): Record<string, string> {
  try {
    return Object.assign({}, ...readdirSync(folder).map((name) => readTree(join(folder, name))))
  } catch {
    return {}
  }
}

/** The change time cannot be set, so the clock has to pass the last tick; files are then no longer too young. */
function ageTree(folder: string): void {
  const old = new Date(Date.now() - 60_000)
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name)
    if (!lstatSync(path).isSymbolicLink()) utimesSync(path, old, old)
  }
  const end = Date.now() + 30
  while (Date.now() < end) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, end - Date.now())
}
