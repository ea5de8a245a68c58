import type { ActionDigest, Digest } from '../../digest/digest.ts'

export interface Message {
  readonly digest: Digest
  readonly bytes: Uint8Array
}

/** What the child gets, and what was kept from it. */
export interface ChildEnvironment {
  readonly variables: Readonly<Record<string, string>>
  /** Names of variables that are set and were not passed on, sorted. */
  readonly withheld: readonly string[]
  /** Names given to `-e` that look like secrets. */
  readonly suspicious: readonly string[]
}

/** A declared output, relative to the root. Two kinds: only a literal directory is ever cleaned. */
export interface OutputDeclaration {
  readonly kind: 'path' | 'glob'
  readonly path: string
}

/** The input tree as it was when the key was made. */
export interface InputTree {
  readonly rootDigest: Digest
  /** How many files and links. */
  readonly count: number
  /** The Directory messages, deduplicated; read again from the scan, so ask only when they are to be kept. */
  directories(): readonly Message[]
  /** The first input that is no longer what the key says, or undefined: compared by stat, by content where in doubt. */
  changed(): string | undefined
  /** Whether a root-relative path is one of the inputs. */
  has(path: string): boolean
  /** Writes what was learnt of the files for the next run. Failing is not an error, only slower next time. */
  remember(): Promise<void>
}

/** Work with its name: the encoded Action, and what is needed to do it. */
export interface KeyedAction {
  readonly key: ActionDigest
  readonly action: Message
  readonly command: Message
  readonly inputs: InputTree
  readonly outputs: readonly OutputDeclaration[]
  readonly environment: ChildEnvironment
  /** Absolute path of the program that `argv[0]` stands for. */
  readonly program: string
}

/** What came of asking for a key. A user's mistake is thrown as a `CacheError` instead. */
export type Keyed =
  | { readonly kind: 'keyed'; readonly action: KeyedAction }
  /** It can be run and must not be kept: a link that leaves the root, a name that is not UTF-8. `reason` is one line. */
  | {
      readonly kind: 'unkeyable'
      readonly reason: string
      readonly environment: ChildEnvironment
      readonly program: string
      readonly outputs: readonly OutputDeclaration[]
    }
