import { readFileSync } from 'node:fs'
import { CacheError, systemCode } from '../../errors.ts'
import type { RemoteAccess } from '../../store/remote/remote-address.ts'
import { destinationOf, hasUserInfo, originOf } from '../../store/remote/remote-origin.ts'
import type { RemoteTls } from '../../store/remote/remote-server.ts'
import { askHelper, type HelperAnswer } from './credential-helper.ts'
import { type Credentials, credentialsFile, readCredentials } from './credentials-file.ts'
import type { RemoteChoice } from './remote-choice.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface Granted extends RemoteAccess {
  /** Where the credentials come from, for people; undefined where none are shown. */
  readonly source: string | undefined
}

/**
 * What is shown to a remote cache, and whom to believe that it is it. One that a checkout named is used only where its user
 * logged in to exactly that scheme, host and port, and is shown only what was given then: all else was meant for another.
 * Throws `remote.untrusted`, and what cannot be read.
 */
export function accessTo(choice: RemoteChoice, environment: Environment): Granted {
  const { address, namedBy } = choice
  const origin = originOf(address)
  const stored = readCredentials(credentialsFile(environment)).get(origin)
  if (namedBy === 'checkout') {
    if (stored === undefined) throw untrusted(choice)
    // Whose account it is decides who reads what is sent, and who wrote what comes.
    if (hasUserInfo(address)) throw ownPassword(choice)
  }
  const own = namedBy === 'user' ? ownCredentials(choice, environment) : undefined
  const files = { ...stored, ...(namedBy === 'user' && given(choice)) }
  const granted = { ...shown(own ?? fromLogin(stored), address), tls: tlsOf(files) }
  return namedBy === 'user' ? granted : { ...granted, s3: NOTHING_ELSE }
}

/** What lies about for other tools was not given to this remote. */
const NOTHING_ELSE = { credentials: 'none' } as const

/** What is shown with credentials that are not kept yet. */
export function accessWith(credentials: Credentials, address: string): Granted {
  return { ...shown(fromLogin(credentials), address), tls: tlsOf(credentials), s3: NOTHING_ELSE }
}

/** As users say it themselves, the strongest first; undefined where they said nothing. */
function ownCredentials({ tokenFile, helper }: RemoteChoice, { RECUE_REMOTE_TOKEN }: Environment): Source | undefined {
  const token = RECUE_REMOTE_TOKEN?.trim()
  if (token) return { token: wholeToken(token, 'RECUE_REMOTE_TOKEN'), source: 'RECUE_REMOTE_TOKEN' }
  if (tokenFile !== undefined)
    return { token: wholeToken(pem(tokenFile, 'remoteTokenFile').trim(), tokenFile), source: tokenFile }
  return helper === undefined ? undefined : { helper, source: helper }
}

interface Source {
  readonly token?: string | undefined
  readonly helper?: string | undefined
  readonly source: string | undefined
}

function fromLogin(stored: Credentials | undefined): Source {
  const { token, helper } = stored ?? {}
  return { token, helper, source: token === undefined && helper === undefined ? undefined : 'recue login' }
}

function shown({ token, helper, source }: Source, address: string): Granted {
  return {
    source,
    ...(token !== undefined && { token }),
    ...(helper !== undefined && { freshHeaders: fresh(helper, address) }),
  }
}

/** Asked again when they have expired; those who ask at once share one answer. */
function fresh(helper: string, address: string): () => Promise<Readonly<Record<string, string>>> {
  const uri = uriOf(address)
  let answer: Promise<HelperAnswer> | undefined
  let untilMs = Number.POSITIVE_INFINITY
  return async () => {
    if (answer === undefined || Date.now() >= untilMs) {
      untilMs = Number.POSITIVE_INFINITY
      answer = askHelper(helper, uri)
      answer.then(
        (got) => {
          untilMs = got.untilMs
        },
        () => {
          answer = undefined
        },
      )
    }
    return (await answer).headers
  }
}

/** Helpers know `https://HOST/…`; which protocol is spoken there is nothing to them. */
function uriOf(address: string): string {
  const { url, socketPath } = destinationOf(address)
  return socketPath === undefined ? url.href : `unix://${socketPath}`
}

function given({ ca, cert, key }: RemoteChoice): Pick<Credentials, 'ca' | 'cert' | 'key'> {
  return { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) }
}

function tlsOf({ ca, cert, key }: Pick<Credentials, 'ca' | 'cert' | 'key'>): RemoteTls {
  return {
    ...(ca !== undefined && { ca: pem(ca, 'remoteCa') }),
    ...(cert !== undefined && { cert: pem(cert, 'remoteCert') }),
    ...(key !== undefined && { key: pem(key, 'remoteKey') }),
  }
}

function pem(file: string, setting: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new CacheError('config.invalid', `${setting}: ${file} cannot be read (${systemCode(cause) ?? cause}).`, {
      cause,
    })
  }
}

/** Throws `usage`, without repeating it. `where` is the file or variable. */
export function wholeToken(text: string, where: string): string {
  if (/^[\x21-\x7e]+$/.test(text)) return text
  throw new CacheError('usage', `${where} holds no token: a token is one word.`)
}

function untrusted({ address, place }: RemoteChoice): CacheError {
  const { place: name } = destinationOf(address)
  return new CacheError(
    'remote.untrusted',
    `${name} is not used: this checkout names it (${place}), and you have not.`,
    {
      hint: `If you trust it with what you build, and what it sends: recue login ${name}`,
      context: { server: name },
    },
  )
}

function ownPassword({ address, place }: RemoteChoice): CacheError {
  const { place: name } = destinationOf(address)
  return new CacheError('remote.untrusted', `${name} is not used: ${place} brings a password of its own.`, {
    hint: 'Take it out of the address: what is shown to a server is for each user to say.',
    context: { server: name },
  })
}
