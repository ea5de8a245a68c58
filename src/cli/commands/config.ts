import { availableParallelism } from 'node:os'
import { childEnvironment } from '../../action/key/environment.ts'
import { CI_NAMES, KEYED_NAMES, PASSED_NAMES, PLATFORM_NAMES } from '../../action/key/environment-names.ts'
import type { EnvironmentSelection } from '../../action/request.ts'
import { isCacheError } from '../../errors.ts'
import { quotaOf } from '../../store/local/collector/quota.ts'
import { shownAddresses } from '../../store/remote/address-list.ts'
import { formatDuration } from '../../units/duration.ts'
import { formatSize } from '../../units/size.ts'
import { type CommandContext, defineCommand } from '../command.ts'
import type { OptionSpec } from '../options.ts'
import { type Configured, configureWithoutCache, openSession } from '../session.ts'
import { ALL_OPTIONS, type Resolved, resolve, SETTINGS } from '../settings.ts'
import { oneLine, table } from '../table.ts'

const OPTIONS = {
  env: {
    kind: 'flag',
    summary: 'List variables instead: which reach a command, which are in its key, which are withheld. Never values.',
  },
} as const
type Context = CommandContext<typeof OPTIONS>

export const command = defineCommand({
  name: 'config',
  summary: 'Print each setting and where it comes from',
  usage: ['config [--env]'],
  description:
    'A setting comes from the flag, the RECUE_… variable, the config of the project (recue.config.ts, .mjs or .json, or the recue key of package.json), the config of the user, or it has its default: the first that says something wins. Lists and maps are joined. A recue.config.json gives commands names: { "tasks": { "build": { "command": "tsc -p .", "inputs": ["src", "tsconfig.json"], "outputs": ["dist"] } } }',
  options: OPTIONS,
  arguments: { min: 0, max: 0 },
  async run(context) {
    const { configured, cacheDir } = await configure(context)
    if (context.options.env) printEnvironment(context, configured)
    else await printSettings(context, configured, cacheDir)
    return 0
  },
})

/** A config can be shown without a cache: perhaps it is shown because the cache cannot be used. */
async function configure(context: Context): Promise<{ configured: Configured; cacheDir: string | undefined }> {
  const { given, cwd, environment } = context
  const request = { given, cwd, environment, evaluate: true }
  try {
    await using session = await openSession(request)
    return { configured: session, cacheDir: session.cache.dir }
  } catch (error) {
    if (!isCacheError(error) || !error.code.startsWith('store.')) throw error
    return { configured: await configureWithoutCache(request), cacheDir: undefined }
  }
}

async function printSettings(context: Context, configured: Configured, cacheDir: string | undefined): Promise<void> {
  const { output, options } = context
  const { place, project, layers } = configured
  const resolved = resolve(ALL_OPTIONS, layers)
  const chosen = cacheDir === undefined ? {} : chosenFor(cacheDir)
  const settings = [...SETTINGS].map(([name, { key, spec }]) => {
    const { value, origin, places } = resolved.get(key) as Resolved
    const inForce = name === 'cacheDir' ? (cacheDir ?? value) : (value ?? chosen[name])
    return {
      name,
      spec,
      value: name === 'remote' && typeof inForce === 'string' ? shownAddresses(inForce) : inForce,
      origin,
      places,
    }
  })
  const tasks = [...(project?.tasks.keys() ?? [])]
  if (options.json) {
    const byName = Object.fromEntries(
      settings.map(({ name, value, origin, places }) => [name, { value: value ?? null, origin, places }]),
    )
    const remotes = await remotesOf(context, configured)
    const remote = remotes[0] ?? null
    output.json({ root: place.root, configFile: place.configFile ?? null, tasks, settings: byName, remote, remotes })
    return
  }
  const { stdout } = output
  stdout.line(`root    ${oneLine(place.root)}`)
  stdout.line(`config  ${place.configFile === undefined ? 'none' : oneLine(place.configFile)}`)
  stdout.line(`tasks   ${tasks.length === 0 ? 'none' : tasks.join(', ')}`)
  const remotes = await remotesOf(context, configured)
  for (const { place, shown, why } of remotes)
    stdout.line(
      `remote  ${remotes.length > 1 ? `${place}: ` : ''}${why ?? `used, and shown ${shown === undefined ? 'no token' : `the token of ${shown}`}`}`,
    )
  stdout.line()
  const columns = [{ title: 'setting' }, { title: 'value', flexible: true }, { title: 'from' }]
  const rows = settings.map(({ name, spec, value, origin, places }) => [
    name,
    shown(value, spec),
    originText(origin, places),
  ])
  for (const line of table(columns, rows, stdout.terminal)) stdout.line(line)
}

interface Remote {
  readonly place: string
  readonly used: boolean
  /** Where the token comes from that is shown there. */
  readonly shown?: string
  readonly why?: string
}

/** Whether the remote caches are used, and whose token each is shown. Nothing is asked. */
async function remotesOf({ cwd, environment }: Context, { layers }: Configured): Promise<Remote[]> {
  const [{ remoteChoices }, { accessTo }] = await Promise.all([
    import('../remote/remote-choice.ts'),
    import('../remote/remote-access.ts'),
  ])
  return remoteChoices(layers, cwd).map((choice) => {
    const place = shownAddresses(choice.address)
    try {
      const { source } = accessTo(choice, environment)
      return { place, used: true, ...(source !== undefined && { shown: source }) }
    } catch (error) {
      if (!isCacheError(error)) throw error
      return { place, used: false, why: error.hint === undefined ? error.message : `${error.message} ${error.hint}` }
    }
  })
}

/** What is in force where nobody said anything, for settings whose default depends on the machine. */
function chosenFor(cacheDir: string): Readonly<Record<string, unknown>> {
  return { maxCacheSize: quotaOf(cacheDir).maxCacheBytes, concurrency: String(availableParallelism()) }
}

function originText(origin: string, places: readonly string[]): string {
  if (origin === 'default') return 'default'
  return origin === 'flag' || origin === 'environment' ? places.join(', ') : `${origin} (${places.join(', ')})`
}

function shown(value: unknown, { kind }: OptionSpec): string {
  if (value === undefined) return '-'
  if (kind === 'size') return formatSize(Number(value))
  if (kind === 'duration') return formatDuration(Number(value))
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.join(', ')
  if (typeof value !== 'object' || value === null) return String(value)
  const entries = Object.entries(value)
  return entries.length === 0 ? '-' : entries.map(([name, text]) => `${name}=${text}`).join(', ')
}

function printEnvironment({ output, options, environment }: Context, { settings }: Configured): void {
  const selection = {
    source: environment,
    keyed: settings.env,
    passed: settings.passEnv,
    normalize: settings.normalize as EnvironmentSelection['normalize'],
  }
  const { child, keyed } = childEnvironment(selection)
  const keyedNames = keyed.map(({ name }) => name)
  const passed = Object.keys(child.variables)
    .filter((name) => !keyedNames.includes(name))
    .sort()
  const rules = {
    keyed: [...KEYED_NAMES, ...settings.env],
    passed: [...PASSED_NAMES, ...CI_NAMES, ...(PLATFORM_NAMES[process.platform] ?? []), ...settings.passEnv],
  }
  if (options.json) {
    output.json({ keyed: keyedNames, passed, withheld: child.withheld, rules })
    return
  }
  const { stdout } = output
  const { paint } = stdout.terminal
  const section = (title: string, names: readonly string[]) => {
    stdout.line(paint('bold', `${title} (${names.length})`))
    stdout.line(names.length === 0 ? '  none' : filled(names, stdout.terminal.columns))
    stdout.line()
  }
  section('Passed to the command and in its key', keyedNames)
  section('Passed to the command, not in its key', passed)
  section('Withheld: give those that matter with -e, others with --pass-env', child.withheld)
  section('Names and patterns that enter the key when set', rules.keyed)
  section('Names and patterns that are passed when set', rules.passed)
}

/** Words in lines of the width, two spaces in. */
function filled(names: readonly string[], columns: number): string {
  const lines: string[] = []
  let line = ' '
  for (const name of names.map(oneLine)) {
    if (line.length + 1 + name.length > columns && line !== ' ') {
      lines.push(line)
      line = ' '
    }
    line += ` ${name}`
  }
  return [...lines, line].join('\n')
}
