import { never } from '../errors.ts'
import type { InputChangeKind } from './input-changes.ts'
import type { KeyChange } from './key-changes.ts'
import type { Why } from './why.ts'

/** For the end of a line: `src/a.ts and 3 more files changed, NODE_ENV changed`. Undefined where there is nothing to say. */
export function shortWhy(why: Why): string | undefined {
  switch (why.kind) {
    case 'changed':
      return shortChanges(why.changes, why.isCut)
    case 'first':
      return 'first run'
    case 'same-key':
      return 'nothing changed, but no result is kept'
    case 'not-comparable':
      return undefined
    default:
      return never(why)
  }
}

/** One line a change, without indentation or line end. */
export function changeLine(change: KeyChange): string {
  switch (change.part) {
    case 'input':
      return `${change.path === '' ? 'an input' : change.path} ${INPUT_WORDS[change.how]}`
    case 'argument':
      return argumentLine(change)
    case 'working-directory':
      return `working directory: ${change.before || '.'} → ${change.after || '.'}`
    case 'variable':
      return `${change.name} ${VARIABLE_WORDS[change.how]}`
    case 'executable':
      return `the program ${change.name} is another one`
    case 'interpreter':
      return `the interpreter of ${change.name} is another one`
    case 'tool':
      return `${change.name} says something else of its version`
    case 'platform':
      return `platform ${change.name}: ${change.before ?? 'not set'} → ${change.after ?? 'not set'}`
    case 'output':
      return `output ${change.path} ${change.how}`
    case 'property':
      return `property ${change.name} changed`
    case 'salt':
      return 'the salt changed'
    case 'key-version':
      return 'recue makes keys by newer rules'
    case 'stdin':
      return 'standard input changed'
    case 'definition':
      return `the task's ${change.members.join(', ') || 'definition'} changed in the config`
    case 'dependency':
      return `${change.name}, which it depends on, is another one`
    default:
      return never(change)
  }
}

const INPUT_WORDS: Readonly<Record<InputChangeKind, string>> = {
  added: 'added',
  removed: 'removed',
  content: 'changed',
  executable: 'changed its executable bit',
  link: 'points elsewhere',
  kind: 'became another kind of file',
  unknown: 'changed in a way that is no longer known',
}
const VARIABLE_WORDS = { set: 'is set now', unset: 'is no longer set', changed: 'changed' } as const

function argumentLine({ before, after }: { readonly before?: string; readonly after?: string }): string {
  if (before === undefined) return `argument ${quoted(after)} added`
  if (after === undefined) return `argument ${quoted(before)} removed`
  return `argument ${quoted(before)} → ${quoted(after)}`
}

function quoted(word = ''): string {
  return word === '' || /\s/.test(word) ? JSON.stringify(word) : word
}

/** Two things at most: who wants more asks `recue why`. */
function shortChanges(changes: readonly KeyChange[], isCut: boolean): string | undefined {
  const said = [shortInputs(changes, isCut), ...telling(changes).map(changeLine)].filter((line) => line !== undefined)
  if (said.length <= 2) return said.length === 0 ? undefined : said.join(', ')
  return `${said[0]}, ${said[1]} and ${said.length - 2} more`
}

/** What is not an input. A changed definition shows in its parts, too: then it needs no word of its own. */
function telling(changes: readonly KeyChange[]): readonly KeyChange[] {
  const others = changes.filter(({ part }) => part !== 'input')
  const known = others.filter(({ part }) => part !== 'definition')
  return known.length > 0 ? known : others
}

function shortInputs(changes: readonly KeyChange[], isCut: boolean): string | undefined {
  const inputs = changes.filter((change) => change.part === 'input')
  const [first] = inputs
  if (first === undefined) return undefined
  const more = inputs.length - 1
  if (more === 0) return changeLine(first)
  return `${first.path} and ${isCut ? `over ${more}` : more} more ${more === 1 ? 'file' : 'files'} changed`
}
