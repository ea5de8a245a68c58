import { execFileSync } from 'node:child_process'
import { VERSION } from '../../version.ts'
import { hasVariable, type OptionSpec, variableName } from '../options.ts'
import { ALL_OPTIONS } from '../settings.ts'
import { type Check, type Finding, ok, type Subject, warn } from './check.ts'

/** What lies around the cache. */
export const MACHINE_CHECKS: readonly Check[] = [
  { name: 'clock', find: clock },
  { name: 'git', find: git },
  { name: 'environment', find: environment },
  { name: 'versions', find: versions },
]

/** The day this was written; no clock of a machine in use is earlier. */
const EARLIEST_MS = Date.UTC(2026, 0, 1)

function clock({ nowMs }: Subject): Finding {
  const now = new Date(nowMs).toISOString()
  if (nowMs < EARLIEST_MS) return warn(`it says ${now}`, 'Set it: times decide what is least recently used.')
  return ok(now)
}

function git({ environment: { PATH } }: Subject): Finding {
  try {
    const options = { encoding: 'utf8' as const, stdio: ['ignore', 'pipe', 'ignore'] as ['ignore', 'pipe', 'ignore'] }
    return ok(execFileSync('git', ['--version'], { ...options, env: { PATH } }).trim())
  } catch {
    return warn('not found', 'Without it, inputs are all files that .gitignore leaves, unless -i names them.')
  }
}

const RUNTIME_VARIABLES = ['NODE_OPTIONS', 'BUN_OPTIONS', 'BUN_BE_BUN']

/** Names alone: values may be secret. */
async function environment({ environment: variables }: Subject): Promise<Finding> {
  const set = Object.keys(variables).filter((name) => name.startsWith('RECUE_'))
  // The commands that have variables of their own; the token is none that a flag could show.
  const { command: serve } = await import('../commands/serve.ts')
  const { command: front } = await import('../commands/front.ts')
  const options = Object.entries<OptionSpec>({ ...ALL_OPTIONS, ...serve.options, ...front.options })
  const named = options.flatMap(([key, spec]) => (hasVariable(spec) ? [variableName(key)] : []))
  const known = new Set([...named, 'RECUE_TOKEN', 'RECUE_REMOTE_TOKEN', 'RECUE_FRONT'])
  const unknown = set.filter((name) => !known.has(name))
  if (unknown.length > 0)
    return warn(
      `${unknown.join(', ')}: no such setting`,
      'recue config names all settings; what a command is told to do has no variable.',
    )
  const changing = RUNTIME_VARIABLES.filter((name) => (variables[name] ?? '') !== '')
  if (changing.length > 0)
    return warn(`${changing.join(', ')} changes how recue itself runs`, 'Unset it if recue behaves oddly.')
  return ok(set.length === 0 ? 'no RECUE_ variable is set' : `set: ${set.join(', ')}`)
}

function versions(): Finding {
  const { bun, node, sqlite = '?' } = process.versions
  const runtime = bun === undefined ? `Node ${node}` : `Bun ${bun}`
  return ok(`recue ${VERSION}, ${runtime}, SQLite ${sqlite}, ${process.platform} ${process.arch}`)
}
