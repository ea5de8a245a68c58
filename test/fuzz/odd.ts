import { createHash } from 'node:crypto'
import type { Random } from './random.ts'

export interface NamedDigest {
  readonly hash: string
  readonly sizeBytes: number
}

export function digestOf(bytes: Uint8Array): NamedDigest {
  return { hash: createHash('sha256').update(bytes).digest('hex'), sizeBytes: bytes.length }
}

const TRAVERSALS = [
  '..',
  '../',
  '../../../../../../../../etc/passwd',
  '..%2f..%2f..%2fescaped',
  '%2e%2e/%2e%2e/%2e%2e/escaped',
  '..;/',
  '%252e%252e%252f',
  '..\\..\\..\\escaped',
  '..%5c..%5c',
  '....//',
  '%c0%ae%c0%ae%c0%af',
  '%e0%80%ae%e0%80%ae/',
  '%u002e%u002e/',
  '/../../escaped',
  '//etc/passwd',
  'file:///etc/passwd',
  './././',
  '%2e/',
  '.git/config',
  '~/escaped',
  'C:\\escaped',
  '\\\\host\\share',
]
const ODD_PIECES = [
  '%00',
  'a%00.bin',
  '%0d%0aSet-Cookie:x',
  '%0a',
  '%7f',
  '%ff%fe',
  '%c3%28',
  '%ed%a0%80',
  '%f4%90%80%80',
  '%',
  '%g1',
  '%1',
  '+',
  '%20',
  '*',
  ':',
  '@',
  '&',
  ';',
  "'",
  '"',
  '<x>',
  '{}',
  '|',
  '^',
  '`',
  '$(id)',
  '%24%28id%29',
  '%e2%80%ae',
  '%ef%bf%bf',
  '%f0%9f%92%a9',
  '\u00e9',
  'CON',
  'NUL',
  'aux.txt',
  '.',
  '-',
  '--help',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'toString',
  'null',
  'undefined',
  'NaN',
  '0',
  '-1',
  '1e999',
  "' OR 1=1--",
  '?',
  '?x=1',
  '?sig=',
  '#',
  '#x',
  'blobs',
  'status',
  'events',
]

/** A path that is none, or nearly one. */
export function oddPath(random: Random): string {
  const parts: string[] = []
  const count = 1 + random.below(4)
  for (let i = 0; i < count; i++) {
    const kind = random.below(6)
    if (kind === 0) parts.push(random.pick(TRAVERSALS))
    else if (kind === 1) parts.push(random.pick(ODD_PIECES))
    else if (kind === 2) parts.push(random.text(12))
    else if (kind === 3)
      parts.push([...random.bytes(10)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''))
    else if (kind === 4) parts.push(oddHash(random))
    else parts.push('a'.repeat(random.pick([0, 1, 255, 256, 1_000, 1_999, 2_001, 5_000])))
  }
  return parts.join(random.pick(['', '/', '/', '//', '%2f', '\\']))
}

/** What is no SHA-256 in lower-case hexadecimal digits. */
export function oddHash(random: Random): string {
  const hash = random.hex(64)
  switch (random.below(9)) {
    case 0:
      return `${hash.slice(0, 63)}${random.pick(['A', 'F', 'C'])}`
    case 1:
      return hash.slice(0, random.below(64))
    case 2:
      return `${hash}${random.hex(1 + random.below(70))}`
    case 3:
      return `${hash.slice(0, 63)}${random.pick(['g', 'z', '.', '_', 'G', '\u0430', '\uff11'])}`
    case 4:
      return ''
    case 5:
      return `../${hash.slice(3)}`
    case 6:
      return `${hash.slice(0, 60)}%00x`
    case 7:
      return ` ${hash.slice(1)}`
    default:
      return `a${hash.slice(1)}`.toUpperCase()
  }
}

/** Beyond what a 64-bit number, or one of JavaScript's, holds; or what no blob has. */
export const ODD_SIZES = [
  '-1',
  '-9223372036854775808',
  '9223372036854775807',
  '18446744073709551616',
  '9007199254740993',
  '1e9',
  '0x10',
  '007',
  '+5',
  '',
  ' ',
  'NaN',
  '1.5',
  '٣',
]

/** The same with a few bytes changed, added, left out or said twice. */
export function mutated(random: Random, bytes: Uint8Array): Buffer {
  let out = Buffer.from(bytes)
  const changes = 1 + random.below(4)
  for (let i = 0; i < changes; i++) {
    const at = random.below(out.length + 1)
    const length = random.below(Math.min(16, out.length - at) + 1)
    switch (random.below(6)) {
      case 0:
        if (at < out.length) out[at] = (out[at] as number) ^ (1 << random.below(8))
        break
      case 1:
        if (at < out.length) out[at] = random.pick([0, 1, 0x7f, 0x80, 0xff, 10, 13, 32])
        break
      case 2:
        out = Buffer.concat([out.subarray(0, at), random.bytes(8), out.subarray(at)])
        break
      case 3:
        out = Buffer.concat([out.subarray(0, at), out.subarray(at + length)])
        break
      case 4:
        out = Buffer.concat([out.subarray(0, at + length), out.subarray(at)])
        break
      default:
        out = out.subarray(0, at)
    }
  }
  return out
}

const ODD_VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1e308,
  2 ** 53,
  '',
  '../..',
  '\u0000',
  '\ud800',
  'x'.repeat(600),
  [],
  {},
  [[]],
  [null],
  { __proto__: 1 },
  '1e3',
  '-5',
  '00',
  'blake3',
  ['a', 1],
]

/** JSON in which something is wrong, if only a little; at times no JSON at all. */
export function oddJson(random: Random, valid: Readonly<Record<string, unknown>>): Buffer {
  const fields: [string, unknown][] = Object.entries(valid)
  switch (random.below(6)) {
    case 0:
      return random.bytes(200)
    case 1:
      return mutated(random, Buffer.from(JSON.stringify(valid)))
    case 2: {
      const depth = random.pick([10, 1_000, 30_000])
      return Buffer.from(random.pick(['[', '{"a":', '[{"result":']).repeat(depth))
    }
    case 3: {
      const depth = random.pick([10, 1_000, 15_000])
      return Buffer.from(`${'['.repeat(depth)}${']'.repeat(depth)}`)
    }
    default: {
      const at = random.below(fields.length)
      if (random.chance(0.3)) fields.splice(at, 1)
      else fields[at] = [fields[at]?.[0] ?? 'x', random.pick(ODD_VALUES)]
      if (random.chance(0.2))
        fields.push([random.pick(['__proto__', 'constructor', 'toString', 'x']), random.pick(ODD_VALUES)])
      // As text, so that names may be there that an object would take for its own.
      return Buffer.from(
        `{${fields.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`,
      )
    }
  }
}

const XML_PIECES = [
  '<?xml version="1.0"?>',
  '<BlockList>',
  '</BlockList>',
  '<Latest>',
  '</Latest>',
  '<Uncommitted>YQ==</Uncommitted>',
  '<Committed>',
  '&lt;',
  '&#x110000;',
  '&#99999999999;',
  '&#x;',
  '&amp',
  '<!DOCTYPE x [<!ENTITY a "&b;&b;"><!ENTITY b SYSTEM "file:///etc/passwd">]>',
  '&a;',
  '<![CDATA[',
  ']]>',
  '<!--',
  '<D:propfind xmlns:D="DAV:"><D:allprop/></D:propfind>',
  '<D:prop>',
  '\u0000',
  '<',
  '>',
  '/>',
  'YQ==',
]

export function oddXml(random: Random): Buffer {
  return Buffer.from(random.list(12, () => random.pick(XML_PIECES)).join(''))
}

/** An `Authorization` header that says nothing to anybody, or something wrong. */
export function oddAuthorization(random: Random): string {
  const json = (value: unknown) =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
  const claims = random.pick<unknown>([
    null,
    5,
    'x',
    [],
    {},
    { ac: 1 },
    { ac: '[' },
    { ac: 'null' },
    { ac: '[null]' },
    { ac: '[{"Scope":1,"Permission":"x"}]' },
    { ac: '[{"Scope":"../x","Permission":3}]', repository_id: '../..' },
    { ac: `[${'[],'.repeat(500)}[]]` },
    { ac: '[{"Scope":"","Permission":-1}]', repository_id: { a: 1 } },
    `{"ac":${'['.repeat(2_000)}`,
  ])
  switch (random.below(8)) {
    case 0:
      return `Bearer ${json({ alg: 'none' })}.${json(claims)}.${random.bytes(20).toString('base64url')}`
    case 1:
      return `Bearer ${json(random.bytes(20).toString('latin1'))}.${random.bytes(60).toString('base64url')}.`
    case 2:
      return `Basic ${random.bytes(40).toString('base64')}`
    case 3:
      return `Basic ${Buffer.from(random.pick(['', ':', '::', 'a', `a:${'b'.repeat(3_000)}`])).toString('base64')}`
    case 4:
      return `AWS4-HMAC-SHA256 Credential=${random.pick(['', '/', 'x/20260101/r/s3/aws4_request', `${'x'.repeat(2_000)}/20260101/r/s3/aws4_request`])}, SignedHeaders=host, Signature=${random.hex(64)}`
    case 5:
      return random.pick([
        'Bearer',
        'Bearer ',
        'bearer  x  ',
        'Basic',
        'Digest x',
        'Bearer \t',
        'AWS4-HMAC-SHA256',
        'AWS4-HMAC-SHA256 Credential=',
        '.',
      ])
    case 6:
      return `Bearer ${'.'.repeat(random.below(3_000))}`
    default:
      return random.text(40)
  }
}
