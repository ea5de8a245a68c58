import { CacheError, type ErrorCode } from '../../../errors.ts'
import { notSpoken } from '../connection-fault.ts'
import type { RedisServer } from './redis-address.ts'
import { isReplyError, type Reply, type ReplyError } from './resp.ts'

/** By the first word of Redis's error: what it is to a cache, and what to do. */
const KNOWN: Readonly<Record<string, readonly [ErrorCode, string, string]>> = {
  NOAUTH: ['remote.denied', 'asks for a password', 'Write it into the address: redis://USER:PASSWORD@HOST.'],
  WRONGPASS: ['remote.denied', 'does not know that user and password', 'Are they right, and is the user enabled?'],
  NOPERM: [
    'remote.denied',
    'does not let this user do that',
    'Needed are keys recue:*, and GET, STRLEN, SET, DEL, PEXPIRE.',
  ],
  DENIED: ['remote.denied', 'runs in protected mode', 'Give it a password, or let it listen where you are.'],
  READONLY: ['store.read-only', 'is a replica that only reads', 'Name the primary where something is to be kept.'],
  LOADING: ['remote.unreachable', 'is still loading its data', 'It has just started.'],
  MASTERDOWN: ['remote.unreachable', 'is a replica that has lost its primary', 'Name the primary.'],
  BUSY: ['remote.unreachable', 'is busy with a script', 'Its log says with which.'],
  OOM: ['store.full', 'has no memory left', 'Set maxmemory-policy to allkeys-lru, so that it makes room by itself.'],
  MISCONF: ['store.full', 'cannot write its data to disk, and takes nothing', 'Its log says why.'],
  CLUSTERDOWN: ['remote.unreachable', 'is part of a cluster that is down', 'Its log says why.'],
  MOVED: ['remote.incompatible', 'is part of a cluster', 'Name servers that stand alone, or a proxy for the cluster.'],
  ASK: ['remote.incompatible', 'is part of a cluster', 'Name servers that stand alone, or a proxy for the cluster.'],
}

const BY_TEXT: readonly (readonly [RegExp, keyof typeof KNOWN | readonly [ErrorCode, string, string]])[] = [
  [
    /without any password|no password is set/i,
    ['remote.denied', 'has no password, and was given one', 'Leave it out of the address.'],
  ],
  [/invalid password/i, 'WRONGPASS'],
  [/max number of clients/i, ['remote.unreachable', 'has all the clients that it takes', 'Raise its maxclients.']],
  [
    /DB index|SELECT is not allowed/i,
    ['remote.incompatible', 'has no database of that number', 'Leave it out of the address.'],
  ],
]

/** One clear line for what Redis refused, with its own words, from which secrets are taken: some repeat what they were asked. */
export function replyFault({ place, password }: RedisServer, { code, text }: ReplyError): CacheError {
  const named = BY_TEXT.find(([pattern]) => pattern.test(text))?.[1] ?? code
  const found = typeof named === 'string' ? KNOWN[named] : named
  const [errorCode, what, hint] = found ?? ['remote.failed', 'refused', 'Its own words are in its log.']
  const bare = text
    .replace(/, with args.*/s, '')
    .replace(/[^\x20-\x7e]+/g, ' ')
    .slice(0, 200)
  const words = password === undefined || password === '' ? bare : bare.replaceAll(password, '…')
  return new CacheError(errorCode, `${place} ${what} (${words}).`, { hint, context: { server: place, cause: code } })
}

/** The value of a reply that is one or none. */
export function valueIn(server: RedisServer, reply: Reply): Uint8Array | undefined {
  if (reply === undefined || reply instanceof Uint8Array) return reply
  throw isReplyError(reply) ? replyFault(server, reply) : notSpoken(server, 'Redis', 'no value')
}

export function numberIn(server: RedisServer, reply: Reply): number {
  if (typeof reply === 'number') return reply
  throw isReplyError(reply) ? replyFault(server, reply) : notSpoken(server, 'Redis', 'no number')
}

export function requireOk(server: RedisServer, reply: Reply): void {
  if (reply === 'OK') return
  throw isReplyError(reply) ? replyFault(server, reply) : notSpoken(server, 'Redis', 'not OK')
}
