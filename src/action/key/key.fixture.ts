import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Directory } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { WorkspaceRecords } from '../../store/contracts.ts'
import type { ActionRequest } from '../request.ts'
import { type KeyOptions, keyOf } from './key.ts'
import type { KeyedAction } from './keyed-action.ts'

/** Workspace records that a test can look into. */
export function recordsInMemory(): WorkspaceRecords & { readonly kept: Map<string, Uint8Array>; saves: number } {
  const kept = new Map<string, Uint8Array>()
  return {
    kept,
    saves: 0,
    load: (kind, name) => kept.get(`${kind} ${name}`),
    async save(kind, name, record) {
      this.saves++
      kept.set(`${kind} ${name}`, Buffer.from(record))
    },
    async remove(kind, name) {
      kept.delete(`${kind} ${name}`)
    },
    names: (kind, prefix) =>
      [...kept.keys()].filter((key) => key.startsWith(`${kind} ${prefix}`)).map((key) => key.slice(kind.length + 1)),
  }
}

/** A checkout in a temporary folder, and the means to ask for keys in it. */
export class Checkout implements Disposable {
  readonly root: string
  readonly records = recordsInMemory()

  constructor(files: Readonly<Record<string, string>> = {}) {
    this.root = realpathSync(mkdtempSync(join(tmpdir(), 'recue-key-')))
    for (const [path, text] of Object.entries(files)) this.write(path, text)
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true })
  }

  path(path: string): string {
    return join(this.root, path)
  }

  write(path: string, text: string, mode = 0o644): void {
    mkdirSync(dirname(this.path(path)), { recursive: true })
    writeFileSync(this.path(path), text)
    chmodSync(this.path(path), mode)
  }

  git(...args: string[]): string {
    const env = { PATH: process.env.PATH, HOME: this.root, GIT_CONFIG_NOSYSTEM: '1' }
    const config = ['-c', 'user.name=a', '-c', 'user.email=a@b', '-c', 'protocol.file.allow=always']
    return execFileSync('git', [...config, ...args], {
      cwd: this.root,
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  /** Makes everything old enough to be trusted by its times alone. */
  settle(): void {
    const before = new Date(Date.now() - 60_000)
    for (const path of execFileSync('find', [this.root, '-not', '-type', 'l', '-print0'], { encoding: 'utf8' }).split(
      '\0',
    ))
      if (path !== '') utimesSync(path, before, before)
    // The change time cannot be set, and counts too.
    for (const until = Date.now() + 25; Date.now() < until; )
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
  }

  request(
    given: Partial<Omit<ActionRequest, 'inputs'>> & { inputs?: Partial<ActionRequest['inputs']> } = {},
  ): ActionRequest {
    return {
      argv: ['/bin/sh', '-c', 'true'],
      root: this.root,
      workingDirectory: '',
      outputs: [],
      environment: { source: { PATH: process.env.PATH }, keyed: [], passed: [], normalize: [] },
      tools: {},
      platform: {},
      salt: '',
      definition: '',
      stdin: undefined,
      ...given,
      inputs: {
        patterns: undefined,
        gitignore: true,
        allowEmpty: false,
        allowLinks: [],
        implicit: true,
        ...given.inputs,
      },
    }
  }

  options(): KeyOptions {
    return { records: this.records, cacheDir: '/nonexistent/cache', home: '/nonexistent/home' }
  }

  async keyed(given: Parameters<Checkout['request']>[0] = {}): Promise<KeyedAction> {
    const keyed = await keyOf(this.request(given), this.options())
    if (keyed.kind === 'unkeyable') throw new Error(`unkeyable: ${keyed.reason}`)
    return keyed.action
  }

  async unkeyable(given: Parameters<Checkout['request']>[0] = {}): Promise<string> {
    const keyed = await keyOf(this.request(given), this.options())
    if (keyed.kind === 'keyed') throw new Error('it can be keyed')
    return keyed.reason
  }

  async key(given: Parameters<Checkout['request']>[0] = {}): Promise<string> {
    return (await this.keyed(given)).key.hash
  }

  /** Root-relative paths of the files and links in the input tree, sorted. */
  async inputs(given: Parameters<Checkout['request']>[0] = {}): Promise<string[]> {
    const { inputs } = await this.keyed(given)
    return treePaths(inputs)
  }
}

/** Reads the tree as another REAPI client would: from the root digest down the messages. */
export function treePaths(inputs: KeyedAction['inputs']): string[] {
  const messages = new Map(inputs.directories().map(({ digest, bytes }) => [digest.hash, bytes]))
  const paths: string[] = []
  const visit = (hash: string, prefix: string): void => {
    const folder = Directory.decode(messages.get(hash) as Uint8Array)
    for (const { name } of [...folder.files, ...folder.symlinks]) paths.push(prefix + name)
    for (const { name, digest } of folder.directories) visit(digest?.hash as string, `${prefix}${name}/`)
  }
  visit(inputs.rootDigest.hash, '')
  return paths.sort()
}
