import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  applyEdits,
  findNodeAtLocation,
  getNodeValue,
  type JSONPath,
  modify,
  type ParseError,
  parseTree,
} from 'jsonc-parser'
import { CacheError, systemCode } from '../errors.ts'
import { type GitState, gitState } from './git-state.ts'
import { takenApart, withBlock } from './marked-block.ts'
import { type FileSetting, type JsonSetting, TOKEN } from './tool.ts'

/** What is to be done with a file, and why not. */
export type FilePlan = {
  readonly path: string
} & (
  | { readonly kind: 'make' | 'change'; readonly text: string; readonly isSecret: boolean }
  | { readonly kind: 'keep' }
  /** It says the same in the user's own words, or is not ours to write. */
  | { readonly kind: 'leave'; readonly why: string; readonly hint: string }
)

export interface PlanOptions {
  /** Absolute. */
  readonly root: string
  /** What stands for the token in files that git does not track. */
  readonly token: string | undefined
}

/** Looks at one file and changes nothing. */
export function planFile(setting: FileSetting, { root, token }: PlanOptions): FilePlan {
  const { path } = setting
  const leave = (why: string, hint: string): FilePlan => ({ path, kind: 'leave', why, hint })
  if (path.startsWith('~/')) return leave('is yours, for all projects', 'Put the lines there yourself.')
  const file = join(root, path)
  const isSecret = setting.text.includes(TOKEN)
  if (isSecret) {
    const reason = unfitForSecrets(gitState(file))
    if (reason !== undefined) return leave(reason, `Add ${path} to .gitignore, and run this again.`)
  }
  const wanted = setting.text.replaceAll(TOKEN, () => token ?? '')
  const before = textOf(file)
  if (before !== undefined) {
    const rival = rivalIn(before, setting)
    if (rival !== undefined) return leave(rival, 'Change it there yourself.')
  }
  const text = editedText(before ?? '', wanted, setting)
  if (text === before) return { path, kind: 'keep' }
  return { path, kind: before === undefined ? 'make' : 'change', text, isSecret }
}

export function carryOut(plan: FilePlan, root: string): void {
  if (plan.kind !== 'make' && plan.kind !== 'change') return
  const file = join(root, plan.path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, plan.text, plan.isSecret ? { mode: 0o600 } : {})
}

function unfitForSecrets(state: GitState): string | undefined {
  if (state === 'tracked') return 'is tracked by git, where no token belongs'
  return state === 'untracked' ? 'is not ignored by git, and would hold the token' : undefined
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** What of the user's says something else about the same. */
function rivalIn(text: string, { edit, text: wanted, path }: FileSetting): string | undefined {
  if (edit.kind === 'whole') return text === wanted ? undefined : 'is there already, with settings of its own'
  if (edit.kind === 'json') {
    const taken = edit.values.find((value) => isTaken(text, value, path))
    return taken && `says ${taken.path.join('.')} differently`
  }
  const { others } = takenApart(text, edit)
  const found = edit.rivals.exec(others)
  if (found === null) return undefined
  return `says it in line ${lineOf(others, found)}: ${found[0].trim()}`
}

/** Patterns begin with the space before a line, which may be that of lines before. */
function lineOf(text: string, { index, 0: found }: RegExpExecArray): number {
  return text.slice(0, index + found.length - found.trimStart().length).split('\n').length
}

function isTaken(text: string, { path, value, defaults = [] }: JsonSetting, file: string): boolean {
  const present = valueAt(text, path, file)
  return present !== undefined && present !== value && !defaults.some((one) => one === present)
}

function valueAt(text: string, path: readonly string[], file: string): unknown {
  const errors: ParseError[] = []
  const tree = parseTree(text, errors, { allowTrailingComma: true })
  if (tree === undefined || tree.type !== 'object' || errors.length > 0)
    throw new CacheError('config.invalid', `${file} is no JSON object.`, { hint: 'Nothing was written there.' })
  const node = findNodeAtLocation(tree, [...path])
  return node && getNodeValue(node)
}

function editedText(before: string, wanted: string, { edit, path: file }: FileSetting): string {
  if (edit.kind === 'whole' || (edit.kind === 'json' && before.trim() === '')) return wanted
  if (edit.kind === 'block') return withBlock(before, wanted, edit, edit.below)
  let text = before
  for (const { path, value } of edit.values) {
    if (valueAt(text, path, file) === value) continue
    const options = { formattingOptions: { insertSpaces: true, tabSize: 2 } }
    text = applyEdits(text, modify(text, path as JSONPath, value, options))
  }
  return text
}
