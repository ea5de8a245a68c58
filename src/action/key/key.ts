import { join, posix } from 'node:path'
import { digestOfMessage } from '../../digest/message-digest.ts'
import { CacheError } from '../../errors.ts'
import type { WorkspaceRecords } from '../../store/contracts.ts'
import { findInputs } from '../inputs/input-tree.ts'
import type { ViewWithLeft } from '../inputs/view-with-left.ts'
import { declareOutputs } from '../outputs/output-declarations.ts'
import type { ActionRequest } from '../request.ts'
import type { Witness } from '../witness.ts'
import { actionMessage, commandMessage } from './command-message.ts'
import { childEnvironment, type KeyedVariable } from './environment.ts'
import { type Executable, findExecutable, type SearchPlace } from './executable.ts'
import { executableProperties } from './executable-digest.ts'
import type { ChildEnvironment, InputTree, Keyed, OutputDeclaration } from './keyed-action.ts'
import { type PlatformProperty, platformProperties } from './platform.ts'

export interface KeyOptions {
  /** What is known of files from earlier runs; without it all inputs are hashed each time. */
  readonly records: WorkspaceRecords | undefined
  readonly cacheDir: string
  readonly home: string
  readonly signal?: AbortSignal
  /** What inputs and programs are looked for in: the files that are there, unless said. */
  readonly files?: ViewWithLeft
  readonly witness?: Witness | undefined
}

/**
 * Names the work: the digest of an Action that holds all that may change its result. Reads the workspace and changes
 * nothing in it. Mistakes of the user are thrown: `usage`, `input.*`, `output.refused`, `command.not-found`,
 * `command.not-executable`, `config.invalid`.
 */
export async function keyOf(request: ActionRequest, options: KeyOptions): Promise<Keyed> {
  refuseUnkeyableArguments(request.argv)
  const { root, workingDirectory } = request
  const { witness } = options
  const { child: environment, keyed } = childEnvironment(request.environment)
  witness?.keyed(keyed.map(({ name }) => name))
  const cwd = join(root, workingDirectory)
  const program = findExecutable(request.argv[0] as string, {
    cwd,
    ...searchOf(environment),
    ...missedOf(options),
    witness,
  })
  const outputs = declareOutputs(request.outputs, { root, workingDirectory, ...options })
  const found = await findInputs(request.inputs, { root, workingDirectory, outputs, signal: undefined, ...options })
  if (found.kind === 'unkeyable')
    return { kind: 'unkeyable', reason: found.reason, environment, program: program.path, outputs }
  const properties = await commandProperties(request, { program, environment, keyed, outputs }, options)
  return {
    kind: 'keyed',
    action: keyedAction(request, { program, environment, outputs, properties, inputs: found.tree }, witness),
  }
}

interface ResolvedCommand {
  readonly program: Executable
  readonly environment: ChildEnvironment
  readonly outputs: readonly OutputDeclaration[]
}

function keyedAction(
  request: ActionRequest,
  parts: ResolvedCommand & { readonly properties: readonly PlatformProperty[]; readonly inputs: InputTree },
  witness: Witness | undefined,
) {
  const { program, environment, outputs, properties, inputs } = parts
  const command = commandMessage({
    argv: request.argv,
    workingDirectory: request.workingDirectory,
    outputPaths: outputs.filter(({ kind }) => kind === 'path').map(({ path }) => fromWorkingDirectory(request, path)),
    properties,
  })
  const action = actionMessage({
    command: command.digest,
    inputRoot: inputs.rootDigest,
    platform: [...platformProperties(witness), ...entriesOf(request.platform)],
    salt: request.salt,
  })
  return { key: action.digest, action, command, inputs, outputs, environment, program: program.path }
}

/** What REAPI's Command has no field for. */
async function commandProperties(
  request: ActionRequest,
  command: ResolvedCommand & { readonly keyed: readonly KeyedVariable[] },
  options: KeyOptions,
): Promise<PlatformProperty[]> {
  const { program, environment, keyed, outputs } = command
  const { argv, root, workingDirectory, tools, stdin, definition } = request
  const cwd = join(root, workingDirectory)
  const { records, witness } = options
  const search = { cwd, ...searchOf(environment), ...missedOf(options), witness }
  const place = { ...search, replaced: new Set(Object.keys(tools)), records }
  const executable = await executableProperties(program, argv[0] as string, place)
  const properties = [...keyed.map(environmentProperty), ...executable]
  for (const { kind, path } of outputs) if (kind === 'glob') properties.push({ name: 'recue.output_glob', value: path })
  if (definition !== '') properties.push({ name: 'recue.definition', value: definition })
  if (stdin !== undefined) properties.push({ name: 'recue.stdin', value: digestOfMessage(stdin).hash })
  if (Object.keys(tools).length > 0) {
    witness?.unsure()
    const { toolProperties } = await import('./tool-output.ts')
    properties.push(...(await toolProperties(tools, { cwd, env: environment.variables, signal: options.signal })))
  }
  return properties
}

/** The value as a hash: a key may be seen by others. */
function environmentProperty({ name, value }: KeyedVariable): PlatformProperty {
  return { name: `recue.env.${name}`, value: digestOfMessage(Buffer.from(value)).hash }
}

function searchOf({ variables }: ChildEnvironment): { searchPath: string | undefined; extensions: string | undefined } {
  return { searchPath: variables.PATH ?? variables.Path, extensions: variables.PATHEXT }
}

function missedOf({ files }: KeyOptions): Pick<SearchPlace, 'missed'> {
  return files === undefined ? {} : { missed: (path) => files.expectNothingAt(path) }
}

/** REAPI: relative to the working directory. */
function fromWorkingDirectory({ workingDirectory }: ActionRequest, path: string): string {
  if (workingDirectory === '') return path
  return path.startsWith(`${workingDirectory}/`)
    ? path.slice(workingDirectory.length + 1)
    : posix.relative(`/${workingDirectory}`, `/${path}`)
}

function entriesOf(platform: Readonly<Record<string, string>>): PlatformProperty[] {
  return Object.entries(platform).map(([name, value]) => ({ name, value }))
}

/** The runtime decodes arguments, and different bytes that are not UTF-8 all become U+FFFD: they would share a key. */
function refuseUnkeyableArguments(argv: readonly string[]): void {
  if (argv.length === 0) throw new CacheError('usage', 'No command was given.', { hint: 'It comes after --.' })
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] as string
    if (!argument.isWellFormed() || argument.includes('\uFFFD'))
      throw new CacheError('usage', `Argument ${i} of the command is not valid UTF-8.`, {
        hint: 'Rename the file, or have the command find it itself.',
      })
    if (argument.includes('\0')) throw new CacheError('usage', `Argument ${i} of the command has a zero byte in it.`)
  }
}
