import type { Digest } from '../digest/digest.ts'
import { Action, Command, type Platform } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { definitionChanges } from './definition-changes.ts'
import { type InputChange, inputChanges } from './input-changes.ts'
import type { Messages } from './messages.ts'
import { meaningOf } from './property-meaning.ts'

/** One part of a key that differs between two actions. Values of variables are not known: the key has their SHA-256. */
export type KeyChange =
  | ({ readonly part: 'input' } & InputChange)
  /** `index` counts from 0, the program; `before` or `after` is undefined where there was, or is, none. */
  | { readonly part: 'argument'; readonly index: number; readonly before?: string; readonly after?: string }
  | { readonly part: 'working-directory'; readonly before: string; readonly after: string }
  | { readonly part: 'variable'; readonly name: string; readonly how: 'set' | 'unset' | 'changed' }
  /** The content of the program, of its interpreter, or what a tool says of itself. `name` as it is called. */
  | { readonly part: 'executable' | 'interpreter' | 'tool'; readonly name: string }
  | { readonly part: 'platform'; readonly name: string; readonly before?: string; readonly after?: string }
  | { readonly part: 'output'; readonly path: string; readonly how: 'added' | 'removed' }
  /** `members` are those of the task in the config. */
  | { readonly part: 'definition'; readonly members: readonly string[] }
  /** A task that this one depends on. */
  | { readonly part: 'dependency'; readonly name: string }
  | { readonly part: 'salt' | 'key-version' | 'stdin' }
  /** A property that this version of recue does not know. */
  | { readonly part: 'property'; readonly name: string }

export interface KeyComparison {
  readonly changes: readonly KeyChange[]
  /** There are more input changes than are listed. */
  readonly isCut: boolean
}

/** Past so many changed inputs nobody reads on. */
const MOST_INPUTS = 1_000

/** What differs between two actions, in the order in which people ask; undefined when a message of one is gone. */
export async function keyChanges(
  messages: Messages,
  before: Digest,
  after: Digest,
): Promise<KeyComparison | undefined> {
  const [old, now] = await Promise.all([readAction(messages, before), readAction(messages, after)])
  if (old === undefined || now === undefined) return undefined
  const inputs = await inputChanges(messages, old.inputRoot, now.inputRoot, MOST_INPUTS)
  return {
    changes: [
      ...inputs.changes.map((change) => ({ part: 'input' as const, ...change })),
      ...propertyChanges(old, now),
      ...argumentChanges(old.command.arguments, now.command.arguments),
      ...directoryChange(old.command, now.command),
      ...outputChanges(old.command.outputPaths, now.command.outputPaths),
      ...saltChange(old.salt, now.salt),
    ],
    isCut: inputs.isCut,
  }
}

interface WholeAction {
  readonly command: Command
  readonly inputRoot: Digest
  readonly salt: string
  readonly properties: ReadonlyMap<string, readonly string[]>
}

async function readAction(messages: Messages, digest: Digest): Promise<WholeAction | undefined> {
  const bytes = await messages.read(digest)
  if (bytes === undefined) return undefined
  const action = Action.decode(bytes)
  if (action.commandDigest === undefined || action.inputRootDigest === undefined) return undefined
  const commandBytes = await messages.read(action.commandDigest)
  if (commandBytes === undefined) return undefined
  const command = Command.decode(commandBytes)
  const properties = valuesByName([command.platform, action.platform])
  return { command, inputRoot: action.inputRootDigest, salt: action.salt.toString(), properties }
}

function valuesByName(platforms: readonly (Platform | undefined)[]): Map<string, readonly string[]> {
  const byName = new Map<string, readonly string[]>()
  for (const { name, value } of platforms.flatMap((platform) => platform?.properties ?? [])) {
    byName.set(name, [...(byName.get(name) ?? []), value])
  }
  return byName
}

function propertyChanges(old: WholeAction, now: WholeAction): KeyChange[] {
  const names = [...new Set([...old.properties.keys(), ...now.properties.keys()])].sort()
  return names.flatMap((name) => {
    const [was, is] = [old.properties.get(name) ?? [], now.properties.get(name) ?? []]
    return was.join('\0') === is.join('\0') ? [] : propertyChange(name, was, is, now)
  })
}

function propertyChange(name: string, was: readonly string[], is: readonly string[], now: WholeAction): KeyChange[] {
  const meaning = meaningOf(name)
  switch (meaning.part) {
    case 'variable':
      return [
        { part: 'variable', name: meaning.name, how: was.length === 0 ? 'set' : is.length === 0 ? 'unset' : 'changed' },
      ]
    case 'executable':
    case 'interpreter':
      return [{ part: meaning.part, name: now.command.arguments[0] ?? '' }]
    case 'tool':
      return [{ part: 'tool', name: meaning.name }]
    case 'definition':
      return definitionChanges(was[0] ?? '', is[0] ?? '')
    case 'output':
      return outputChanges(was, is)
    case 'platform':
      return [{ part: 'platform', name: meaning.name, ...beforeAndAfter(was.join(', '), is.join(', ')) }]
    case 'property':
      return [{ part: 'property', name }]
    default:
      return [{ part: meaning.part }]
  }
}

function beforeAndAfter(before: string, after: string): { before?: string; after?: string } {
  return { ...(before === '' ? {} : { before }), ...(after === '' ? {} : { after }) }
}

/** Words between what both begin with and what both end with. */
function argumentChanges(was: readonly string[], is: readonly string[]): KeyChange[] {
  let start = 0
  while (start < was.length && start < is.length && was[start] === is[start]) start++
  let end = 0
  while (end < was.length - start && end < is.length - start && was.at(-1 - end) === is.at(-1 - end)) end++
  const [old, now] = [was.slice(start, was.length - end), is.slice(start, is.length - end)]
  return Array.from({ length: Math.max(old.length, now.length) }, (_, i) => {
    const [before, after] = [old[i], now[i]]
    const words = { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }
    return { part: 'argument' as const, index: start + i, ...words }
  }).filter(({ before, after }) => before !== after)
}

function directoryChange(old: Command, now: Command): KeyChange[] {
  if (old.workingDirectory === now.workingDirectory) return []
  return [{ part: 'working-directory', before: old.workingDirectory, after: now.workingDirectory }]
}

function outputChanges(was: readonly string[], is: readonly string[]): KeyChange[] {
  return [
    ...was
      .filter((path) => !is.includes(path))
      .map((path) => ({ part: 'output' as const, path, how: 'removed' as const })),
    ...is
      .filter((path) => !was.includes(path))
      .map((path) => ({ part: 'output' as const, path, how: 'added' as const })),
  ]
}

/** The salt of an action is the version of the key's rules and the salt that was given, with a NUL between. */
function saltChange(was: string, is: string): KeyChange[] {
  if (was === is) return []
  const [oldVersion, ...oldSalt] = was.split('\0')
  const [nowVersion, ...nowSalt] = is.split('\0')
  return [
    ...(oldVersion === nowVersion ? [] : [{ part: 'key-version' as const }]),
    ...(oldSalt.join('\0') === nowSalt.join('\0') ? [] : [{ part: 'salt' as const }]),
  ]
}
