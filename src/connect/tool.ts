import { prefixOf, type ServerAddress } from './server-address.ts'

/** Stands for the token wherever one belongs: shells put it in, and so does what writes files that git does not track. */
export const TOKEN = `\${RECUE_TOKEN}`

/** A build tool, and how it is led to a recue. One file in `tools/` for each. */
export interface Tool {
  readonly name: string
  readonly title: string
  /** Its protocol, for the list: a few words. */
  readonly speaks: string
  /** What it does where nothing answers, if that ends a build: it then should go through `recue front`. */
  readonly failsAlone?: string
  /** Whether it reaches a server on a Unix socket. */
  readonly takesSocket?: true
  setup(remote: Remote, project: Project): Setup
  /** How an entry of its protocol is put and got. */
  readonly exchange: Exchange
  /** How the tool itself is tried, where it is installed. */
  readonly trial?: Trial
}

/** A server in the ways that tools want it written. */
export interface Remote {
  /** `http://HOST:PORT`, with the server's prefix and the instance; no slash at its end. */
  readonly http: string
  /** Of a server on a Unix socket, which only a few tools reach; `http` and `grpc` then lead nowhere. */
  readonly socketPath: string | undefined
  /** The same with a user and the token, where there is one. */
  readonly httpWithToken: string
  /** `grpc://HOST:PORT` or `grpcs://…`: an instance is not part of it. */
  readonly grpc: string
  readonly isTls: boolean
  readonly instance: string
  readonly hasToken: boolean
}

/** What lies in the project's folder, and what is installed for it. */
export interface Project {
  has(path: string): boolean
  /** What the program says to `--version`; undefined where it is not there, or says nothing. */
  versionOf(program: string): string | undefined
}

export interface Setup {
  readonly environment: readonly Variable[]
  readonly files: readonly FileSetting[]
  /** Sentences: what else is to be done or known. */
  readonly notes: readonly string[]
}

/** `value` may hold {@link TOKEN}. */
export interface Variable {
  readonly name: string
  readonly value: string
  /** A file says it as well: only without that file is it to be set. */
  readonly isInFile?: boolean
}

export interface FileSetting {
  /** Relative to the project; or below the user's home, written with `~/`, and then never written by us. */
  readonly path: string
  readonly text: string
  readonly edit: Edit
}

export type Edit =
  /** Lines of ours between marks, in a file whose other lines are the user's. */
  | {
      readonly kind: 'block'
      /** Whose block it is: the same for all ways of one tool. */
      readonly owner: string
      readonly comment: '#' | '//'
      /** They belong below this line, which is made where it is missing: `[GLOBAL]`. */
      readonly below?: string
      /** The user's own lines that say the same: where there is one, nothing is written. */
      readonly rivals: RegExp
    }
  /** Values in a file of JSON, with or without comments. */
  | { readonly kind: 'json'; readonly values: readonly JsonSetting[] }
  /** A file of its own: made where there is none, and never changed where there is another. */
  | { readonly kind: 'whole' }

export interface JsonSetting {
  readonly path: readonly string[]
  readonly value: string | boolean
  /** Values that nobody chose, and that may be replaced. */
  readonly defaults?: readonly (string | boolean)[]
}

/** One entry, put and got back. */
export type Exchange =
  | { readonly kind: 'http'; entry(nonce: string): HttpEntry }
  | { readonly kind: 'reapi' }
  | { readonly kind: 'actions-cache' }

export interface HttpEntry {
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
}

/** A tiny project built twice at the same place, with nothing left of the first time but what the server has. */
export interface Trial {
  /** What has to be installed; the first is the tool. */
  readonly programs: readonly string[]
  /** By `nonce`, so that the first build is a miss for certain. */
  files(nonce: string): Readonly<Record<string, string>>
  readonly isRepository?: boolean
  /** Whether its packages have to lie in the project's own `node_modules`. */
  readonly needsModules?: boolean
  /** Beside those of the setup. `folder` is the project's; what begins with its path goes with it. `self` is how this recue is started. */
  environment(folder: string, self: readonly string[]): Readonly<Record<string, string>>
  /** Command lines of one build, one after another. */
  readonly build: readonly (readonly string[])[]
  /** Flags that stand in for files of the setup. */
  flags?(remote: Remote, token: string | undefined): readonly string[]
  /** What it says when the second build was a hit. */
  readonly hit: RegExp
  /** Ends what a build leaves running. */
  readonly end?: readonly string[]
}

export function remoteOf(address: ServerAddress): Remote {
  const { url, socketPath, token, instance } = address
  const isTls = url.protocol === 'https:'
  const below = `${url.host}${prefixOf(address)}`
  const hasToken = token !== undefined
  return {
    http: `${url.protocol}//${below}`,
    socketPath,
    httpWithToken: hasToken ? `${url.protocol}//any:${TOKEN}@${below}` : `${url.protocol}//${below}`,
    grpc: `${isTls ? 'grpcs' : 'grpc'}://${url.hostname}:${url.port === '' ? (isTls ? 443 : 80) : url.port}`,
    isTls,
    instance,
    hasToken,
  }
}

/** Only where there is a token. */
export function secret(remote: Remote, name: string, value: string = TOKEN): readonly Variable[] {
  return remote.hasToken ? [{ name, value }] : []
}

export function isSecret({ value }: Variable): boolean {
  return value.includes(TOKEN)
}

/** What to do where a tool does not reach a server on a Unix socket; undefined where it does, or where there is none. */
export function socketTrouble(tool: Tool, socketPath: string | undefined): { what: string; hint: string } | undefined {
  if (socketPath === undefined || tool.takesSocket) return undefined
  const hint =
    tool.exchange.kind === 'reapi'
      ? 'Let recue serve listen on a port, too.'
      : `Let it go through a front, recue front --server unix:${socketPath}, and name that: --server http://127.0.0.1:8378`
  return { what: `${tool.title} does not reach a Unix socket.`, hint }
}
