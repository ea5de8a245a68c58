import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Server } from 'node:net'
import { createServer, type SecureContextOptions } from 'node:tls'
import { CacheError, systemCode } from '../../errors.ts'
import type { SocketHandler } from './socket-listener.ts'

export interface TlsFiles {
  /** PEM: the certificate, and those between it and the root. */
  readonly cert: string
  readonly key: string
  /** PEM: clients must show a certificate that one of these has signed. */
  readonly clientCa?: string
}

/** What a server shows of itself, and asks its clients for. The files are read again where they have changed. */
export interface TlsKeys extends Disposable {
  readonly asksClients: boolean
  createServer(options: object, take: SocketHandler): Server
  /** Reads the files now; new connections are made with what they hold. */
  refresh(): void
}

const REFRESH_MS = 10_000
const HANDSHAKE_MS = 10_000
const PROTOCOLS = ['h2', 'http/1.1']

/**
 * Throws `usage`, where a file cannot be read or does not hold what it should. `warn` is told of what is wrong and can be
 * served with all the same: a certificate that has expired, or new files that are of no use.
 */
export function openTlsKeys(files: TlsFiles, warn: (text: string) => void): TlsKeys {
  return new FileKeys(files, warn)
}

class FileKeys implements TlsKeys {
  readonly asksClients: boolean
  readonly #files: TlsFiles
  readonly #warn: (text: string) => void
  readonly #servers = new Set<{ setSecureContext(options: SecureContextOptions): void }>()
  readonly #timer: NodeJS.Timeout
  #contents: Contents

  constructor(files: TlsFiles, warn: (text: string) => void) {
    this.#files = files
    this.#warn = warn
    this.asksClients = files.clientCa !== undefined
    this.#contents = contentsOf(files)
    check(files, this.#contents, warn)
    this.#timer = setInterval(() => this.refresh(), REFRESH_MS)
    this.#timer.unref()
  }

  createServer(options: object, take: SocketHandler): Server {
    const server = createServer(
      {
        ...options,
        ...this.#contents,
        ALPNProtocols: PROTOCOLS,
        minVersion: 'TLSv1.2',
        handshakeTimeout: HANDSHAKE_MS,
        requestCert: this.asksClients,
        rejectUnauthorized: this.asksClients,
      },
      (socket) => take(socket, socket.alpnProtocol || undefined),
    )
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    this.#servers.add(server)
    server.once('close', () => this.#servers.delete(server))
    return server
  }

  refresh(): void {
    try {
      const contents = contentsOf(this.#files)
      if (isSame(contents, this.#contents)) return
      this.#contents = contents
      check(this.#files, contents, this.#warn)
      for (const server of this.#servers) server.setSecureContext({ ...contents, minVersion: 'TLSv1.2' })
    } catch (error) {
      // A file that is being replaced may be gone for a moment; what is served with is in memory.
      if (error instanceof CacheError && systemCode(error.cause) !== 'ENOENT') this.#warn(error.message)
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

interface Contents {
  readonly cert: string
  readonly key: string
  readonly ca?: string
}

function contentsOf({ cert, key, clientCa }: TlsFiles): Contents {
  return {
    cert: textOf(cert, '--tls-cert'),
    key: textOf(key, '--tls-key'),
    ...(clientCa !== undefined && { ca: textOf(clientCa, '--tls-client-ca') }),
  }
}

function isSame(a: Contents, b: Contents): boolean {
  return a.cert === b.cert && a.key === b.key && a.ca === b.ca
}

function textOf(file: string, flag: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new CacheError('usage', `${flag}: ${file} cannot be read (${systemCode(cause) ?? cause}).`, { cause })
  }
}

function check(files: TlsFiles, { cert, key, ca }: Contents, warn: (text: string) => void): void {
  const certificate = certificateIn(cert, files.cert, '--tls-cert')
  const privateKey = keyIn(key, files.key)
  if (!certificate.checkPrivateKey(privateKey))
    throw new CacheError('usage', `--tls-key: ${files.key} is not the key of the certificate in ${files.cert}.`)
  warnOfDates(certificate, files.cert, warn)
  if (ca === undefined || files.clientCa === undefined) return
  warnOfDates(certificateIn(ca, files.clientCa, '--tls-client-ca'), files.clientCa, warn)
}

function certificateIn(pem: string, file: string, flag: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    throw new CacheError('usage', `${flag}: ${file} holds no certificate in PEM.`, { cause })
  }
}

function keyIn(pem: string, file: string) {
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    const isEncrypted = /ENCRYPTED/.test(pem)
    const what = isEncrypted ? 'holds a key with a passphrase, which nobody can type' : 'holds no private key in PEM'
    throw new CacheError('usage', `--tls-key: ${file} ${what}.`, { cause })
  }
}

function warnOfDates({ validFrom, validTo }: X509Certificate, file: string, warn: (text: string) => void): void {
  const now = Date.now()
  if (Date.parse(validTo) < now) warn(`${file}: the certificate has expired (${validTo}), and clients will refuse it`)
  else if (Date.parse(validFrom) > now) warn(`${file}: the certificate is not valid yet (from ${validFrom})`)
}
