import { readFileSync } from 'node:fs'
import {
  findNodeAtLocation,
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser'
import { CacheError } from '../../errors.ts'
import type { ConfigDocument } from './project.ts'
import type { ConfigKind } from './schema.ts'
import { type Locate, validateDocument } from './validate.ts'

export interface JsonConfig {
  /** Absolute path. */
  readonly file: string
  /** As messages call it. */
  readonly name: string
  readonly kind: ConfigKind
  /** The key under which the config stands (`recue` in package.json); undefined: the whole file. */
  readonly under: string | undefined
}

/**
 * A config in JSON, read and checked; comments and trailing commas are fine. Undefined when it stands under a key that is
 * not there. Throws `config.invalid` with line and column.
 */
export function readJsonConfig({ file, name, kind, under }: JsonConfig): ConfigDocument | undefined {
  const text = readText(file, name)
  const errors: ParseError[] = []
  const tree = parseTree(text, errors, { allowTrailingComma: true, disallowComments: false })
  const first = errors[0]
  if (first !== undefined || tree === undefined) {
    throw new CacheError('config.invalid', `${name}${position(text, first?.offset ?? 0)}: ${syntaxMistake(first)}.`)
  }
  const prefix = under === undefined ? [] : [under]
  const node = findNodeAtLocation(tree, prefix)
  if (node === undefined) return undefined
  return validateDocument(getNodeValue(node), { file: name, kind, locate: locateIn(text, tree, prefix) })
}

function readText(file: string, name: string): string {
  try {
    // A byte order mark is not JSON, and Windows editors write it.
    return readFileSync(file, 'utf8').replace(/^\uFEFF/, '')
  } catch (error) {
    throw new CacheError('config.invalid', `${name} cannot be read: ${(error as Error).message}.`, { cause: error })
  }
}

function locateIn(text: string, tree: Node, prefix: readonly string[]): Locate {
  return (path, what) => {
    const full = [...prefix, ...path.map((key) => (typeof key === 'number' ? key : String(key)))]
    const node = findNodeAtLocation(tree, full)
    const at = what === 'key' ? node?.parent?.children?.[0] : node
    return position(text, (at ?? node ?? tree).offset)
  }
}

/** `:line:column`, both from 1. */
function position(text: string, offset: number): string {
  const before = text.slice(0, offset)
  return `:${before.split('\n').length}:${offset - before.lastIndexOf('\n')}`
}

function syntaxMistake(error: ParseError | undefined): string {
  if (error === undefined) return 'the file is empty'
  const words = printParseErrorCode(error.error).replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
  return `not valid JSON:${words.replace('close brace', '"}"').replace('close bracket', '"]"')}`
}
