import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { pathToFileURL } from 'node:url'
import { CacheError } from '../../errors.ts'
import type { ConfigDocument } from './project.ts'
import { validateDocument } from './validate.ts'

/**
 * Runs a config that is code, and checks its default export. The file is the project's own code, run with all that it may
 * do: only commands that need the tasks call this. Throws `config.invalid`.
 */
export async function evaluateConfig(file: string, name: string): Promise<ConfigDocument> {
  const exported = await load(file, name)
  if (exported === undefined) {
    throw new CacheError('config.invalid', `${name}: there is no default export.`, {
      hint: 'Write: export default { tasks: { … } }',
    })
  }
  const plain = toPlain(exported, name)
  return validateDocument(plain, { file: name, kind: 'project', locate: () => '' })
}

async function load(file: string, name: string): Promise<unknown> {
  try {
    const module = (await import(pathToFileURL(file).href)) as { readonly default?: unknown }
    return module.default
  } catch (error) {
    throw new CacheError('config.invalid', `${name}${placeIn(error, file)}: ${firstLine(error)}`, { cause: error })
  }
}

/** What JSON keeps of it: a function or a date in a config would otherwise mean one thing now and another from its copy. */
function toPlain(exported: unknown, name: string): unknown {
  try {
    return JSON.parse(
      JSON.stringify(exported, (key, value: unknown) => {
        if (typeof value !== 'function' && typeof value !== 'symbol' && typeof value !== 'bigint') return value
        throw new TypeError(`${key === '' ? 'the default export' : key} is a ${typeof value}`)
      }),
    ) as unknown
  } catch (error) {
    throw new CacheError('config.invalid', `${name}: ${(error as Error).message}; a config is plain data.`, {
      cause: error,
    })
  }
}

/** `:3:14`, where the runtime says so: in the message's stack (V8, JavaScriptCore) or on the error (Bun's own). */
function placeIn(error: unknown, file: string): string {
  const position = (error as { position?: { line?: number; column?: number } | null }).position
  if (typeof position?.line === 'number') return `:${position.line}:${position.column ?? 1}`
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  const at = stack.indexOf(basename(file))
  const found = at === -1 ? null : /^:(\d+)(?::(\d+))?/.exec(stack.slice(at + basename(file).length))
  return found === null ? '' : found[2] === undefined ? `:${found[1]}` : `:${found[1]}:${found[2]}`
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error)
  return text.split('\n')[0] as string
}

/** Words by which code can learn of anything but itself. A comment that has one costs a copy, never correctness. */
const REACHES_OUT =
  /\b(import|require|export\s+\*|process|globalThis|global|self|Date|Math|Intl|performance|crypto|navigator|fetch|eval|Function|constructor|await|Bun|Deno)\b|\bfrom\b|\\u/
const TYPES_ONLY = /^\s*import\s+type\s[^'"()]*\sfrom\s*(['"])[^'"]*\1\s*;?[ \t]*$/gm
const OWN_NAMES =
  /^\s*import\s+\{\s*(?:type\s+\w+|defineConfig)(?:\s*,\s*(?:type\s+\w+|defineConfig))*\s*,?\s*\}\s*from\s*(['"])recue\1\s*;?[ \t]*$/gm

/** Whether what the file says depends on nothing but its text: it imports types alone, and names nothing outside. */
export function dependsOnItselfAlone(file: string): boolean {
  const source = readFileSync(file, 'utf8')
  return !REACHES_OUT.test(source.replace(TYPES_ONLY, '').replace(OWN_NAMES, ''))
}
