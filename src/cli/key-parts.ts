import type { KeyedAction } from '../action/key/keyed-action.ts'
import { meaningOf } from '../observe/property-meaning.ts'
import { Action, Command } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'

/** What is in a key, as it is shown: hashes stand for what is too long, or secret. */
export interface KeyParts {
  /** 64 hex digits. */
  readonly key: string
  readonly arguments: readonly string[]
  /** Relative to the root; empty for the root itself. */
  readonly workingDirectory: string
  /** Files and links. */
  readonly inputs: number
  /** SHA-256 of the input tree. */
  readonly inputRoot: string
  /** Paths and globs. */
  readonly outputs: readonly string[]
  /** Names of the variables that are set and count. */
  readonly variables: readonly string[]
  /** Programs, platform, standard input, salt: by what people call them. */
  readonly properties: readonly { readonly name: string; readonly value: string }[]
}

export function keyParts({ key, action, command, inputs, outputs }: KeyedAction): KeyParts {
  const { platform, salt } = Action.decode(action.bytes)
  const message = Command.decode(command.bytes)
  const properties = [...(message.platform?.properties ?? []), ...(platform?.properties ?? [])]
  const variables = properties.map(({ name }) => meaningOf(name)).filter((meaning) => meaning.part === 'variable')
  return {
    key: key.hash,
    arguments: message.arguments,
    workingDirectory: message.workingDirectory,
    inputs: inputs.count,
    inputRoot: inputs.rootDigest.hash,
    outputs: outputs.map(({ path }) => path),
    variables: variables.map(({ name }) => name),
    properties: [...properties.flatMap(shown), ...saltShown(salt.toString())],
  }
}

function shown({ name, value }: { readonly name: string; readonly value: string }): { name: string; value: string }[] {
  const meaning = meaningOf(name)
  switch (meaning.part) {
    case 'executable':
      return [{ name: 'program', value: short(value) }]
    case 'interpreter':
      return [{ name: 'interpreter', value: short(value) }]
    case 'tool':
      return [{ name: meaning.name, value: short(value) }]
    case 'stdin':
      return [{ name: 'stdin', value: short(value) }]
    case 'platform':
      return [{ name: meaning.name, value }]
    // The rest is shown in places of its own, or is the config again.
    default:
      return []
  }
}

function short(hash: string): string {
  return hash.slice(0, 10)
}

function saltShown(salt: string): { name: string; value: string }[] {
  const given = salt.slice(salt.indexOf('\0') + 1)
  return given === '' ? [] : [{ name: 'salt', value: given }]
}
