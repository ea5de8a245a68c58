/** What a platform property of an action stands for: the names are those that keys are made with. */
export type PropertyMeaning =
  | { readonly part: 'variable'; readonly name: string }
  /** The program that the command line begins with, or the one that its first line asks for. */
  | { readonly part: 'executable' | 'interpreter' }
  /** The output of the command that stands for a program. */
  | { readonly part: 'tool'; readonly name: string }
  | { readonly part: 'platform'; readonly name: string }
  | { readonly part: 'output' | 'stdin' | 'definition' | 'property' }

const VARIABLE = 'recue.env.'
const TOOL = 'recue.tool.'
const INTERPRETER = 'recue.executable.interpreter'
const OWN = 'recue.'

export function meaningOf(name: string): PropertyMeaning {
  if (name.startsWith(VARIABLE)) return { part: 'variable', name: name.slice(VARIABLE.length) }
  if (name.startsWith(TOOL)) return { part: 'tool', name: name.slice(TOOL.length) }
  // A script's interpreter may be a script: then it has one, too.
  if (name.startsWith(INTERPRETER)) return { part: 'interpreter' }
  switch (name) {
    case 'recue.executable':
      return { part: 'executable' }
    case 'recue.output_glob':
      return { part: 'output' }
    case 'recue.stdin':
      return { part: 'stdin' }
    case 'recue.definition':
      return { part: 'definition' }
    default:
      // Others of ours are of a newer version; the rest is the machine's, or the user's own.
      return name.startsWith(OWN) ? { part: 'property' } : { part: 'platform', name }
  }
}
