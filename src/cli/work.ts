import { readFileSync } from 'node:fs'
import { delimiter, join, posix } from 'node:path'
import type { ActionRequest } from '../action/request.ts'
import { CacheError } from '../errors.ts'
import type { CommandContext, Place } from './command.ts'
import type { Project, TaskDocument } from './config/project.ts'
import { ALL_OPTIONS, configLayer, type Layer, resolve, type Settings, valuesOf } from './settings.ts'

/** One thing to be done: what `run` runs, and `key` and `why` explain. */
export interface Work {
  /** The task's name; undefined for a command line. */
  readonly task: string | undefined
  /** What people call it: the task, or the command line. */
  readonly label: string
  readonly request: ActionRequest
  /** The settings for this one: a task may have its own. */
  readonly settings: Settings
}

/** What works are made from; a {@link Session} and a command's context together have it all. */
export interface WorkSource {
  readonly place: Place
  readonly project: Project | undefined
  readonly layers: readonly Layer[]
  readonly settings: Settings
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly stdin: Uint8Array | undefined
  /** Keys of tasks that were done, by name: see {@link taskWork}. */
  readonly dependencyKeys?: ReadonlyMap<string, string>
}

/**
 * What a command was asked about: the command line after `--`, or the tasks named before it; to a single
 * task the words after `--` are added. Throws `usage` when it is neither.
 */
export function worksAsked(context: Pick<CommandContext, 'args' | 'commandLine'>, source: WorkSource): readonly Work[] {
  const { args, commandLine } = context
  if (args.length === 0) {
    if (commandLine !== undefined) return [commandWork(commandLine, source)]
    throw new CacheError('usage', 'There is nothing to run.', {
      hint: 'Name a task, or a command after --: -- npm test',
    })
  }
  if (args.length > 1 && commandLine !== undefined) {
    throw new CacheError('usage', 'Words after -- are added to one task, and there are several.')
  }
  return args.map((name) => taskWork(name, commandLine ?? [], source)).filter((work) => work !== undefined)
}

/** A command line: `recue run -- COMMAND…`. */
export function commandWork(argv: readonly string[], source: WorkSource): Work {
  const { place, settings } = source
  if (argv.length === 0 || argv[0] === '') {
    throw new CacheError('usage', 'There is no command after --.', { hint: 'Write it as: recue run -- COMMAND' })
  }
  // Node turned bytes that are not UTF-8 into this character, so two different arguments would be one in the key.
  for (const word of argv)
    if (word.includes('\uFFFD')) throw new CacheError('usage', `An argument is not UTF-8: ${JSON.stringify(word)}.`)
  const request = requestOf(source, settings, {
    argv,
    workingDirectory: place.workingDirectory,
    inputs: settings.input.length === 0 ? undefined : settings.input,
    outputs: settings.output,
    definition: '',
    environment: source.environment,
  })
  return { task: undefined, label: argv.map(quoted).join(' '), request, settings }
}

/**
 * A task of the config; `extra` words are added to its command. Undefined for one that has no command. A task that says
 * what its inputs are reads those alone. One that does not may read what its dependencies made, which git ignores as a
 * rule: so their keys, as far as they are given, are in its own.
 */
export function taskWork(name: string, extra: readonly string[], source: WorkSource): Work | undefined {
  const task = taskNamed(name, source)
  if (task.command === undefined) return undefined
  const file = source.project?.file ?? ''
  const own = configLayer('task', `${file}: tasks.${name}`, task)
  const stronger = source.layers.filter(({ origin }) => origin === 'flag' || origin === 'environment')
  const settings = valuesOf<typeof ALL_OPTIONS>(
    resolve(ALL_OPTIONS, [...stronger, own, ...source.layers.slice(stronger.length)]),
  )
  const workingDirectory = folderOf(task)
  const request = requestOf(source, settings, {
    argv: argvOf(task.command, extra),
    workingDirectory,
    inputs: task.inputs,
    outputs: task.outputs ?? [],
    definition: settings.implicitInputs ? definitionOf(task, source.dependencyKeys) : '',
    environment: withLocalPrograms(source.environment, source.place.root, workingDirectory),
  })
  return { task: name, label: name, request, settings }
}

/** Throws `config.no-task`, with what was probably meant. */
export function taskNamed(name: string, { project, place }: Pick<WorkSource, 'project' | 'place'>): TaskDocument {
  const task = project?.tasks.get(name)
  if (task !== undefined) return task
  if (isScript(name, place)) {
    throw new CacheError('config.no-task', `There is no task ${name}, but package.json has a script of that name.`, {
      hint: `Run it as a command, and say what it writes: recue run -o OUTPUT -- npm run ${name}`,
    })
  }
  const names = [...(project?.tasks.keys() ?? [])]
  const known = names.length === 0 ? 'There is no config with tasks.' : `There are: ${names.slice(0, 20).join(', ')}.`
  throw new CacheError('config.no-task', `There is no task ${name}.`, {
    hint: `${known} To run a command, put -- before it: recue run -- ${name} …`,
  })
}

function isScript(name: string, { root, workingDirectory }: Place): boolean {
  try {
    const text = readFileSync(join(root, workingDirectory, 'package.json'), 'utf8')
    const { scripts } = JSON.parse(text) as { scripts?: Readonly<Record<string, unknown>> }
    return scripts !== undefined && Object.hasOwn(scripts, name)
  } catch {
    return false
  }
}

type Particular = Pick<ActionRequest, 'argv' | 'workingDirectory' | 'outputs' | 'definition'> & {
  readonly inputs: readonly string[] | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
}

function requestOf(source: WorkSource, settings: Settings, particular: Particular): ActionRequest {
  const { argv, workingDirectory, inputs, outputs, definition, environment } = particular
  return {
    argv,
    root: source.place.root,
    workingDirectory,
    inputs: {
      patterns: inputs,
      gitignore: settings.gitignore,
      allowEmpty: settings.allowEmpty,
      allowLinks: settings.allowLink,
      implicit: settings.implicitInputs,
    },
    outputs,
    environment: {
      source: environment,
      keyed: settings.env,
      passed: settings.passEnv,
      normalize: settings.normalize as ActionRequest['environment']['normalize'],
    },
    tools: settings.tool,
    platform: settings.platform,
    salt: settings.salt ?? '',
    definition,
    stdin: source.stdin,
  }
}

function folderOf({ cwd = '' }: TaskDocument): string {
  const folder = posix.normalize(cwd.replaceAll('\\', '/')).replace(/\/$/, '')
  return folder === '.' ? '' : folder
}

/** Extra words reach a shell command as arguments, each quoted as a whole. */
function argvOf(command: string | readonly string[], extra: readonly string[]): readonly string[] {
  if (typeof command !== 'string') return [...command, ...extra]
  const line = [command, ...extra.map(quoted)].join(' ')
  return process.platform === 'win32' ? ['cmd.exe', '/d', '/s', '/c', line] : ['/bin/sh', '-c', line]
}

/** For a POSIX shell, and for people who copy it into one. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

/** As package managers do it for their scripts: the programs that the project has installed come first. */
function withLocalPrograms(
  environment: WorkSource['environment'],
  root: string,
  workingDirectory: string,
): WorkSource['environment'] {
  const folders: string[] = []
  for (let folder = workingDirectory; ; folder = posix.dirname(folder)) {
    const isRoot = folder === '' || folder === '.'
    folders.push(join(root, isRoot ? '' : folder, 'node_modules', '.bin'))
    if (isRoot) break
  }
  const name = Object.keys(environment).find((key) => key.toUpperCase() === 'PATH') ?? 'PATH'
  const path = environment[name]
  return { ...environment, [name]: [...folders, ...(path === undefined ? [] : [path])].join(delimiter) }
}

/** What the task says it does, in canonical JSON: members in this order, absent ones left out. */
function definitionOf(task: TaskDocument, keys: WorkSource['dependencyKeys']): string {
  const { command, cwd, inputs, outputs, env, passThroughEnv } = task
  const dependencies =
    inputs === undefined ? task.dependsOn?.toSorted().map((name) => [name, keys?.get(name) ?? '']) : undefined
  return JSON.stringify({ command, cwd, dependencies, env, inputs, outputs, passThroughEnv })
}
