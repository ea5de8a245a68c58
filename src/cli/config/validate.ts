import type * as z from 'zod'
import { CacheError } from '../../errors.ts'
import { didYouMean } from '../suggestion.ts'
import type { ConfigDocument } from './project.ts'
import { type ConfigKind, isForUsersAlone, keysAt, SCHEMAS } from './schema.ts'

/** Finds where in the text of a file a value is: `:4:7`, or nothing for a config that is code. */
export type Locate = (path: readonly PropertyKey[], what: 'key' | 'value') => string

/** A config that is what the schema says. Throws `config.invalid` with the first mistake, its place and what was meant. */
export function validateDocument(
  document: unknown,
  options: { readonly file: string; readonly kind: ConfigKind; readonly locate: Locate },
): ConfigDocument {
  const parsed = SCHEMAS[options.kind].safeParse(document, { reportInput: true })
  if (parsed.success) return document as ConfigDocument
  throw mistake(mostSpecific(parsed.error.issues[0] as z.core.$ZodIssue), options)
}

type Issue = z.core.$ZodIssue

/** Of a value that may be one of several things, the complaint of the one that came furthest. */
function mostSpecific(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue
  const fits = issue.errors.map((issues) => issues[0]).filter((inner) => inner !== undefined)
  const inner = fits.find((candidate) => candidate.code !== 'invalid_type') ?? fits[0]
  if (inner === undefined || (inner.code === 'invalid_type' && inner.path.length === 0)) return issue
  return mostSpecific({ ...inner, path: [...issue.path, ...inner.path] } as Issue)
}

function mistake(issue: Issue, { file, kind, locate }: { file: string; kind: ConfigKind; locate: Locate }): CacheError {
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0] as string
    const known = keysAt(issue.path, kind)
    const hint =
      kind === 'user' && key === 'tasks'
        ? 'Tasks belong to the config of a project.'
        : kind === 'project' && isForUsersAlone(key)
          ? 'No checkout may say this: it belongs in your own config, a flag or a variable.'
          : (didYouMean(key, known) ?? (known.length === 0 ? undefined : `Known here: ${known.join(', ')}.`))
    const at = locate([...issue.path, key], 'key')
    return invalid(`${file}${at}: unknown key ${named([...issue.path, key])}.`, hint)
  }
  const path = issue.path
  const place = path.length === 0 ? 'the config' : named(path)
  return invalid(`${file}${locate(path, 'value')}: ${place} ${complaint(issue)}.`, undefined)
}

function complaint(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${article(issue.expected)}, not ${kindOf(issue.input)}`
    case 'invalid_value':
      return `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`
    case 'invalid_union':
      return `must be ${[...new Set(issue.errors.flatMap(([first]) => (first?.code === 'invalid_type' ? [article(first.expected)] : first?.code === 'invalid_value' ? [first.values.map((value) => JSON.stringify(value)).join(' or ')] : [])))].join(' or ')}, not ${kindOf(issue.input)}`
    case 'too_small':
      return issue.origin === 'array' || issue.origin === 'string'
        ? 'must not be empty'
        : `must be at least ${issue.minimum}`
    case 'too_big':
      return `must be at most ${issue.maximum}`
    case 'invalid_key':
      return `is no name for a task: ${issue.issues[0]?.message ?? ''}`
    default:
      return issue.message.replace(/\.$/, '').replace(/^(?!must)/, 'is wrong: ')
  }
}

function article(expected: string): string {
  const names: Readonly<Record<string, string>> = {
    string: 'a string',
    array: 'a list',
    boolean: 'true or false',
    number: 'a number',
    int: 'a whole number',
    object: 'an object',
    record: 'an object',
  }
  return names[expected] ?? expected
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object'
    ? 'an object'
    : typeof value === 'string'
      ? 'a string'
      : (JSON.stringify(value) ?? typeof value)
}

/** `tasks.build.outputs[0]`, as one would write it in code. */
function named(path: readonly PropertyKey[]): string {
  return path
    .map((key, i) => {
      if (typeof key === 'number') return `[${key}]`
      const text = String(key)
      if (!/^[\w$]+$/.test(text)) return `[${JSON.stringify(text)}]`
      return i === 0 ? text : `.${text}`
    })
    .join('')
}

function invalid(message: string, hint: string | undefined): CacheError {
  return new CacheError('config.invalid', message, hint === undefined ? {} : { hint })
}
