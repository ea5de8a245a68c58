/** Azure's most for one blob. */
export const MOST_BLOCKS = 50_000
const NAME = /<(Latest|Uncommitted|Committed)>([^<]*)<\/\1>/g
const START = '<BlockList>'
const END = '</BlockList>'
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** The names of an upload's blocks in the order of the blob, of Azure's `BlockList` document. Undefined: it is none. */
export function blockList(xml: string): string[] | undefined {
  const [start, end] = [xml.indexOf(START), xml.lastIndexOf(END)]
  if (start === -1 || end < start) return undefined
  const inner = xml.slice(start + START.length, end)
  const names = [...inner.matchAll(NAME)].map(([, , name = '']) => decoded(name.trim()))
  const isAllRead = inner.replaceAll(NAME, '').trim() === ''
  return isAllRead && names.length <= MOST_BLOCKS ? names : undefined
}

/** Names are Base64, in which some clients write `+` and `=` as characters by number. */
function decoded(text: string): string {
  return text.replaceAll(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (all, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return ENTITIES[name] ?? all
    const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
    return code <= 0x10ffff ? String.fromCodePoint(code) : all
  })
}
