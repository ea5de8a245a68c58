import { closeSync, openSync, readSync } from 'node:fs'
import { basename } from 'node:path'
import { digestOfFile } from '../../digest/file-digest.ts'
import { isRacy, type StatIdentity, sameIdentity, statIdentity } from '../../digest/stat-identity.ts'
import { CacheError, isCacheError, systemCode } from '../../errors.ts'
import type { WorkspaceRecords } from '../../store/contracts.ts'
import { type Executable, findExecutable, type SearchPlace } from './executable.ts'
import type { PlatformProperty } from './platform.ts'

/** Where interpreters are looked for, and what is known of programs already. */
export interface ExecutablePlace extends SearchPlace {
  /** Programs whose content the key does not take, since something else stands for it. */
  readonly replaced: ReadonlySet<string>
  readonly records: WorkspaceRecords | undefined
}

/** A script may be run by a script; the kernel itself gives up after four. */
const MAX_INTERPRETERS = 4

/**
 * The content of the program, and of the interpreter where it is a script, as platform properties. Paths are not part of
 * it: the same compiler installed elsewhere is the same compiler. Files that did not change are not read again.
 */
export async function executableProperties(
  program: Executable,
  name: string,
  place: ExecutablePlace,
): Promise<PlatformProperty[]> {
  const properties: PlatformProperty[] = []
  let property = 'recue.executable'
  let current: Executable | undefined = program
  let called = name
  for (let depth = 0; current !== undefined && depth <= MAX_INTERPRETERS; depth++) {
    const facts: Facts = await factsOf(current, place.records)
    if (!place.replaced.has(basename(called))) properties.push({ name: property, value: facts.hash })
    called = facts.interpreter
    current = called === '' ? undefined : interpreterOf(current, called, place)
    property += '.interpreter'
  }
  return properties
}

/** What is kept of a program: enough to know it again, its content's SHA-256, and what its first line asks for. */
interface Facts {
  readonly identity: StatIdentity
  readonly hash: string
  /** An absolute path, a bare name that `env` looks up, or empty. */
  readonly interpreter: string
}

async function factsOf(program: Executable, records: WorkspaceRecords | undefined): Promise<Facts> {
  const kept = decodeFacts(records?.load('executable', program.path))
  if (kept !== undefined && sameIdentity(kept.identity, statIdentity(program.stats))) return kept
  const takenAtMs = Date.now()
  const facts = readFacts(program.path)
  if (!isRacy(facts.identity, takenAtMs)) await rememberFacts(records, program.path, facts)
  return facts
}

/** A cache that is full, busy or read-only must not keep the command from running: the next run reads the program again. */
async function rememberFacts(records: WorkspaceRecords | undefined, path: string, facts: Facts): Promise<void> {
  try {
    await records?.save('executable', path, encodeFacts(facts))
  } catch (error) {
    if (!isCacheError(error)) throw error
  }
}

function readFacts(path: string): Facts {
  try {
    const { digest, identity } = digestOfFile(path)
    return { identity, hash: digest.hash, interpreter: parseShebang(firstBytes(path)) }
  } catch (cause) {
    throw new CacheError('command.not-executable', `${path} cannot be read: ${systemCode(cause) ?? 'unknown error'}.`, {
      hint: 'Its content is part of the key. `tools` in the config can name a command whose output stands for it.',
      cause,
    })
  }
}

/** The kernel looks at no more. */
const SHEBANG_BYTES = 256

function firstBytes(path: string): string {
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(SHEBANG_BYTES)
    return bytes.toString('utf8', 0, readSync(file, bytes, 0, SHEBANG_BYTES, 0))
  } finally {
    closeSync(file)
  }
}

/** The interpreter of a `#!` line: its path, or for `env` the name that it looks up. Empty for what is no script. */
export function parseShebang(start: string): string {
  const line = /^#![ \t]*([^\r\n\0]*)/.exec(start)?.[1]?.trim()
  if (line === undefined || line === '') return ''
  const [interpreter = '', ...rest] = line.split(/[ \t]+/)
  if (basename(interpreter) !== 'env') return interpreter
  // `env -S node --flag`, `env NAME=value node`: the program is the first word that is neither.
  return rest.find((word) => !word.startsWith('-') && !word.includes('=')) ?? interpreter
}

/** A script whose interpreter is missing fails when it is started, with the system's own words: not for us to say. */
function interpreterOf(script: Executable, interpreter: string, place: ExecutablePlace): Executable | undefined {
  try {
    const found = findExecutable(interpreter, place)
    return found.path === script.path ? undefined : found
  } catch (error) {
    if (error instanceof CacheError) return undefined
    throw error
  }
}

const FACTS_VERSION = 1
const FIXED_BYTES = 1 + 5 * 8 + 32

function encodeFacts({ identity, hash, interpreter }: Facts): Uint8Array {
  const bytes = Buffer.alloc(FIXED_BYTES)
  bytes.writeUInt8(FACTS_VERSION, 0)
  const { mtimeMs, ctimeMs, size, ino, mode } = identity
  ;[mtimeMs, ctimeMs, size, ino, mode].forEach((value, i) => void bytes.writeDoubleLE(value, 1 + i * 8))
  bytes.write(hash, FIXED_BYTES - 32, 'hex')
  return Buffer.concat([bytes, Buffer.from(interpreter)])
}

function decodeFacts(record: Uint8Array | undefined): Facts | undefined {
  if (record === undefined || record.length < FIXED_BYTES || record[0] !== FACTS_VERSION) return undefined
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength)
  const field = (i: number): number => bytes.readDoubleLE(1 + i * 8)
  return {
    identity: { mtimeMs: field(0), ctimeMs: field(1), size: field(2), ino: field(3), mode: field(4) },
    hash: bytes.toString('hex', FIXED_BYTES - 32, FIXED_BYTES),
    interpreter: bytes.toString('utf8', FIXED_BYTES),
  }
}
