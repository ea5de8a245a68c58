import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

export interface TestCertificate {
  readonly cert: string
  readonly key: string
  readonly name: string
  readonly privateKey: KeyObject
}

export interface CertificateWishes {
  /** Itself where nobody is named. */
  readonly signedBy?: TestCertificate
  readonly validFrom?: Date
  readonly validTo?: Date
}

/** An X.509 certificate for `localhost` and 127.0.0.1 that may sign others: Node reads them, and cannot make them. */
export function certificateFor(name: string, wishes: CertificateWishes = {}): TestCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { signedBy, validFrom = new Date('2020-01-01'), validTo = new Date('2120-01-01') } = wishes
  const issuer = signedBy ?? { name, privateKey }
  const body = sequence(
    der(0xa0, integer(2)),
    integer(2 ** 30 + Math.floor(Math.random() * 2 ** 30)),
    ECDSA_SHA256,
    distinguishedName(issuer.name),
    sequence(time(validFrom), time(validTo)),
    distinguishedName(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(extension(SUBJECT_ALT_NAME, sequence(der(0x82, LOCALHOST), der(0x87, LOOPBACK))), CA)),
  )
  const signature = sign('sha256', body, issuer.privateKey)
  const whole = sequence(body, ECDSA_SHA256, der(0x03, Buffer.concat([Buffer.from([0]), signature])))
  const base64 = whole
    .toString('base64')
    .match(/.{1,64}/g)
    ?.join('\n')
  return {
    name,
    privateKey,
    cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  }
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function sequence(...parts: Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

/** Below 128, or of four bytes whole. */
function integer(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return der(0x02, bytes.subarray(value < 128 ? 3 : 0))
}

function objectIdentifier(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

function distinguishedName(name: string): Buffer {
  return sequence(der(0x31, sequence(objectIdentifier('550403'), der(0x0c, Buffer.from(name)))))
}

/** GeneralizedTime: 20301231235959Z. */
function time(at: Date): Buffer {
  return der(
    0x18,
    Buffer.from(
      `${at
        .toISOString()
        .replace(/\.\d+Z$/, '')
        .replace(/\D/g, '')}Z`,
    ),
  )
}

function extension(identifier: Buffer, value: Buffer): Buffer {
  return sequence(identifier, der(0x04, value))
}

const ECDSA_SHA256 = sequence(objectIdentifier('2a8648ce3d040302'))
const SUBJECT_ALT_NAME = objectIdentifier('551d11')
const BASIC_CONSTRAINTS = objectIdentifier('551d13')
const LOCALHOST = Buffer.from('localhost')
const LOOPBACK = Buffer.from([127, 0, 0, 1])
const CA = extension(BASIC_CONSTRAINTS, sequence(der(0x01, Buffer.from([0xff]))))
