import { CacheError } from '../errors.ts'
import type { ActionRequest, EnvironmentSelection } from './request.ts'
import { findRoot } from './root.ts'

/** A command as people write it down: everything but the command may be left out. */
export interface ActionDescription {
  /** The program and its arguments. No shell looks at it: ask for one with `shell`. */
  readonly command?: readonly string[]
  /** A command line for `/bin/sh -c` (`cmd.exe` on Windows), instead of `command`. */
  readonly shell?: string
  /** Everything in the key is relative to it. Unless said: as `recue run` finds it. */
  readonly root?: string
  /** Where the command runs, in the root; the process's own working directory unless said. */
  readonly cwd?: string
  /** Files, folders and globs relative to `cwd`, `!` takes away; what git knows unless said. */
  readonly inputs?: readonly string[]
  /** Files, folders and globs relative to `cwd`; none unless said: then exit code and output alone are kept. */
  readonly outputs?: readonly string[]
  /** Names or patterns of variables that the command gets and that are in the key. */
  readonly env?: readonly string[]
  /** Names or patterns of variables that the command gets and that are not in the key. */
  readonly passThroughEnv?: readonly string[]
  readonly normalize?: EnvironmentSelection['normalize']
  /** Where the values of variables come from; `process.env` unless said. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Leave out what `.gitignore` files name; true unless said. */
  readonly gitignore?: boolean
  /** A pattern of `inputs` may match nothing; false unless said. */
  readonly allowEmpty?: boolean
  /** Links among the inputs that may be absolute or leave the root. */
  readonly allowLinks?: readonly string[]
  /** package.json, lockfiles and installed state count too; true unless said. */
  readonly implicitInputs?: boolean
  /** Program name → a shell command whose output stands for the program's content in the key. */
  readonly tools?: Readonly<Record<string, string>>
  /** Further platform properties. */
  readonly platform?: Readonly<Record<string, string>>
  readonly salt?: string
  readonly stdin?: Uint8Array | string
}

/** The whole request that a description stands for. Throws `usage` where there is no command, or a root that is not there. */
export function describeAction(description: ActionDescription): ActionRequest {
  const { cwd = process.cwd(), root, stdin } = description
  const place = findRoot(cwd, root === undefined ? {} : { root })
  return {
    argv: argvOf(description),
    root: place.root,
    workingDirectory: place.workingDirectory,
    inputs: {
      patterns: description.inputs,
      gitignore: description.gitignore ?? true,
      allowEmpty: description.allowEmpty ?? false,
      allowLinks: description.allowLinks ?? [],
      implicit: description.implicitInputs ?? true,
    },
    outputs: description.outputs ?? [],
    environment: {
      source: description.environment ?? process.env,
      keyed: description.env ?? [],
      passed: description.passThroughEnv ?? [],
      normalize: description.normalize ?? [],
    },
    tools: description.tools ?? {},
    platform: description.platform ?? {},
    salt: description.salt ?? '',
    definition: '',
    stdin: typeof stdin === 'string' ? Buffer.from(stdin) : stdin,
  }
}

function argvOf({ command, shell }: ActionDescription): readonly string[] {
  if (typeof command === 'string')
    throw new CacheError('usage', 'A command is a list of words, not a line.', {
      hint: `Say ['make', 'all'], or give the line as \`shell\`.`,
    })
  if (command !== undefined && shell !== undefined)
    throw new CacheError('usage', 'Both `command` and `shell` are given.')
  if (shell !== undefined)
    return process.platform === 'win32' ? ['cmd.exe', '/d', '/s', '/c', shell] : ['/bin/sh', '-c', shell]
  if (command === undefined || command.length === 0) throw new CacheError('usage', 'There is no command.')
  return command
}
