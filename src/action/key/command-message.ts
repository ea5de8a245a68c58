import type { ActionDigest, Digest } from '../../digest/digest.ts'
import { asActionDigest } from '../../digest/digest.ts'
import { digestOfMessage } from '../../digest/message-digest.ts'
import { Action, Command } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { KEY_VERSION } from './key-version.ts'
import type { Message } from './keyed-action.ts'
import type { PlatformProperty } from './platform.ts'
import { compareUtf8 } from './utf8-order.ts'

/** What the command is, apart from its inputs. */
export interface CommandParts {
  readonly argv: readonly string[]
  /** Relative to the root. */
  readonly workingDirectory: string
  /** Literal output paths relative to the working directory. */
  readonly outputPaths: readonly string[]
  /** Environment, program, globs of outputs: what REAPI has no field for. */
  readonly properties: readonly PlatformProperty[]
}

export function commandMessage(parts: CommandParts): Message {
  const bytes = Command.encode({
    arguments: [...parts.argv],
    environmentVariables: [],
    outputFiles: [],
    outputDirectories: [],
    platform: { properties: canonicalProperties(parts.properties) },
    workingDirectory: parts.workingDirectory,
    outputPaths: sortedUnique(parts.outputPaths),
    outputNodeProperties: [],
  }).finish()
  return { bytes, digest: digestOfMessage(bytes) }
}

/** What is to be done, to what, where: its digest is the key. */
export function actionMessage(parts: {
  readonly command: Digest
  readonly inputRoot: Digest
  readonly platform: readonly PlatformProperty[]
  readonly salt: string
}): Message & { readonly digest: ActionDigest } {
  const bytes = Action.encode({
    commandDigest: parts.command,
    inputRootDigest: parts.inputRoot,
    timeout: undefined,
    doNotCache: false,
    salt: Buffer.from(`recue key ${KEY_VERSION}\0${parts.salt}`),
    platform: { properties: canonicalProperties(parts.platform) },
  }).finish()
  return { bytes, digest: asActionDigest(digestOfMessage(bytes)) }
}

/** REAPI: sorted by name, then by value, in the order of their UTF-8 bytes. */
function canonicalProperties(properties: readonly PlatformProperty[]): PlatformProperty[] {
  return [...properties].sort((a, b) => compareUtf8(a.name, b.name) || compareUtf8(a.value, b.value))
}

function sortedUnique(paths: readonly string[]): string[] {
  return [...new Set(paths)].sort(compareUtf8)
}
