import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { ServerAddress, TlsFiles } from '../connect/server-address.ts'
import { CacheError, systemCode } from '../errors.ts'
import type { CommandContext } from './command.ts'

/** Options of every command that asks a server. */
export const SERVER_OPTIONS = {
  server: {
    kind: 'text',
    value: 'URL',
    summary: 'Where recue serve listens: http://HOST:8377, https://HOST, unix:PATH.',
    variable: true,
    group: 'Server',
  },
  tokenFile: {
    kind: 'text',
    value: 'FILE',
    summary: 'Holds the token. Default: the variable RECUE_TOKEN.',
    variable: true,
    group: 'Server',
  },
  instance: {
    kind: 'text',
    value: 'NAME',
    summary: 'Keeps results apart from those of other instances.',
    variable: true,
    group: 'Server',
  },
  ca: {
    kind: 'text',
    value: 'FILE',
    summary: 'PEM: whom to trust, instead of those of the system.',
    variable: true,
    group: 'Server',
  },
  cert: { kind: 'text', value: 'FILE', summary: 'PEM: the certificate to show.', variable: true, group: 'Server' },
  certKey: { kind: 'text', value: 'FILE', summary: 'PEM: the key of --cert.', variable: true, group: 'Server' },
} as const

type Context = Pick<CommandContext<typeof SERVER_OPTIONS>, 'options' | 'environment' | 'cwd'>

/** Throws `usage` for an address, a token or a certificate that cannot be had. */
export async function serverAddressOf(context: Context): Promise<ServerAddress> {
  const { parseServerAddress } = await import('../connect/server-address.ts')
  const { server, instance } = context.options
  if (server === undefined || server === '')
    throw new CacheError('usage', 'Which server? None is named.', {
      hint: 'Name it with --server http://HOST:8377, or in RECUE_SERVER.',
    })
  const token = tokenOf(context)
  return parseServerAddress(server, {
    tls: tlsOf(context),
    ...(token !== undefined && { token }),
    ...(instance !== undefined && { instance }),
  })
}

function tokenOf({ options: { tokenFile }, environment, cwd }: Context): string | undefined {
  const token = tokenFile === undefined ? environment.RECUE_TOKEN : textOf(resolve(cwd, tokenFile), '--token-file')
  const text = token?.trim() ?? ''
  if (/[\s"'\\]/.test(text) || (tokenFile !== undefined && text === ''))
    throw new CacheError('usage', `${tokenFile ?? 'RECUE_TOKEN'} holds no token: a token is one word.`)
  return text === '' ? undefined : text
}

function tlsOf({ options: { ca, cert, certKey }, cwd }: Context): TlsFiles {
  return {
    ...(ca !== undefined && { ca: textOf(resolve(cwd, ca), '--ca') }),
    ...(cert !== undefined && { cert: textOf(resolve(cwd, cert), '--cert') }),
    ...(certKey !== undefined && { key: textOf(resolve(cwd, certKey), '--cert-key') }),
  }
}

function textOf(file: string, flag: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new CacheError('usage', `${flag}: ${file} cannot be read (${systemCode(cause) ?? cause}).`, { cause })
  }
}
