import type { Access } from '../access.ts'

/** Where entries are kept and looked for on behalf of one job. */
export interface JobScopes {
  /** GitHub's number of the repository; empty where the token says none. */
  readonly repository: string
  /** A ref, `refs/heads/main`; empty where the token says none. Undefined: the job may not write. */
  readonly write: string | undefined
  /** In the order in which they are to be looked through: the job's own ref, then those it may read. */
  readonly read: readonly string[]
}

const READ = 1
const WRITE = 2

/**
 * What a runner's token (ACTIONS_RUNTIME_TOKEN) says of its job, if it is a JWT with GitHub's claims `ac` (cache scopes) and
 * `repository_id`. It is **not verified here**: who may is the gate's to say, and claims only narrow what it allows. Any other
 * token is of a job in the one scope without a name.
 */
export function jobScopes(authorization: string | undefined, access: Access): JobScopes {
  const claims = claimsIn(authorization)
  const scopes = scopesIn(claims?.ac)
  const mayWrite = access === 'write'
  if (scopes === undefined) return { repository: '', write: mayWrite ? '' : undefined, read: [''] }
  const writable = scopes.find(({ permission }) => (permission & WRITE) !== 0)?.scope
  const readable = scopes.filter(({ permission }) => (permission & READ) !== 0).map(({ scope }) => scope)
  const isOwn = (scope: string) => scope === writable
  return {
    repository: typeof claims?.repository_id === 'string' ? claims.repository_id : '',
    write: mayWrite ? writable : undefined,
    read: [...readable.filter(isOwn), ...readable.filter((scope) => !isOwn(scope))],
  }
}

function claimsIn(authorization: string | undefined): Readonly<Record<string, unknown>> | undefined {
  const [, payload] = /^bearer +[\w-]+\.([\w-]+)\.[\w-]* *$/i.exec(authorization ?? '') ?? []
  if (payload === undefined) return undefined
  return jsonIn(Buffer.from(payload, 'base64url').toString()) as Readonly<Record<string, unknown>> | undefined
}

interface Scoped {
  readonly scope: string
  readonly permission: number
}

/** The claim is JSON within JSON. */
function scopesIn(claim: unknown): readonly Scoped[] | undefined {
  const list = typeof claim === 'string' ? jsonIn(claim) : undefined
  if (!Array.isArray(list)) return undefined
  return list.flatMap((each: { Scope?: unknown; Permission?: unknown } | null) =>
    typeof each?.Scope === 'string' && typeof each.Permission === 'number'
      ? [{ scope: each.Scope, permission: each.Permission }]
      : [],
  )
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text) ?? undefined
  } catch {
    return undefined
  }
}
