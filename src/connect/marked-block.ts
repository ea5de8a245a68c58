/** Text of ours between two lines that say so, in a file whose other lines are somebody else's. */
export interface Marks {
  readonly comment: '#' | '//'
  /** Whose block it is: several tools may have one in a file. */
  readonly owner: string
}

/** The text with empty lines for the block, and the block's own; undefined where there is none. A block without an end is none. */
export function takenApart(text: string, marks: Marks): { readonly others: string; readonly own: string | undefined } {
  const { begin, end } = linesOf(marks)
  const lines = text.split('\n')
  const from = lines.indexOf(begin)
  const to = from < 0 ? -1 : lines.indexOf(end, from)
  if (to < 0) return { others: text, own: undefined }
  const own = lines.slice(from + 1, to).join('\n')
  return { others: lines.map((line, i) => (i < from || i > to ? line : '')).join('\n'), own: `${own}\n` }
}

/**
 * The text with the block: in the place of an older one, else below `below` where such a line is there, else at the end. `below` is the first
 * line of `block`, and left out where it is there already.
 */
export function withBlock(text: string, block: string, marks: Marks, below?: string): string {
  const { begin, end } = linesOf(marks)
  const marked = (inner: string) => `${begin}\n${inner}${end}\n`
  const { own } = takenApart(text, marks)
  if (own !== undefined) {
    const head = below !== undefined && !own.startsWith(`${below}\n`) ? `${below}\n` : ''
    const inner = head !== '' && block.startsWith(head) ? block.slice(head.length) : block
    return text.replace(marked(own), () => marked(inner))
  }
  if (below !== undefined) {
    const lines = text.split('\n')
    const at = lines.findIndex((line) => line.trim() === below)
    if (at >= 0) {
      const inner = block.slice(below.length + 1)
      return [...lines.slice(0, at + 1), marked(inner).trimEnd(), ...lines.slice(at + 1)].join('\n')
    }
  }
  const gap = text === '' ? '' : text.endsWith('\n') ? '\n' : '\n\n'
  return `${text}${gap}${marked(block)}`
}

function linesOf({ comment, owner }: Marks): { readonly begin: string; readonly end: string } {
  return { begin: `${comment} recue connect ${owner}: begin`, end: `${comment} recue connect ${owner}: end` }
}
