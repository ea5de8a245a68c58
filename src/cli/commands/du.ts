import { extname } from 'node:path'
import type { Cache } from '../../cache.ts'
import type { CatalogEntry } from '../../store/contracts.ts'
import { formatSize } from '../../units/size.ts'
import { type CommandContext, defineCommand } from '../command.ts'
import { entriesOf, keptResult, type Origin, originsOf } from '../kept-result.ts'
import type { Stream } from '../output.ts'
import { type CachePart, ownEntries } from '../own-files.ts'
import { oneLine, table } from '../table.ts'
import { type SweptCache, sweptCache } from '../tool-caches.ts'

const OPTIONS = {
  by: {
    kind: 'choice',
    choices: ['task', 'project', 'extension'],
    default: 'task',
    summary: 'What to sum up the results by.',
  },
  limit: { kind: 'number', short: 'n', value: 'N', default: '10', summary: 'How many lines of it.' },
} as const

export const command = defineCommand({
  name: 'du',
  summary: 'Say what fills the cache',
  usage: ['du [--by task|project|extension]'],
  description:
    'What lies in the folder, and the results that fill it. Sizes of results are of their content, before compression ' +
    'and before equal content is kept once, so they add up to more than the disk holds.\n' +
    'With --json: { dir, diskBytes, maxCacheBytes, parts: { index, journal, blobs, ledger, trash, other }, by, ' +
    'results: [{ name, results, contentBytes }], toolCaches: [{ label, path, contentBytes }] }.',
  options: OPTIONS,
  arguments: { min: 0, max: 0 },
  examples: [{ line: 'recue du --by extension', does: 'Source maps, archives, what else?' }],
  async run(context) {
    await using session = await context.open({ looksOnly: true })
    const usage = await usageOf(session.cache, context.options.by, context.signal)
    if (context.options.json) context.output.json(usage)
    else print(context, usage)
    return 0
  },
})

interface Group {
  readonly name: string
  readonly results: number
  readonly contentBytes: number
}

interface Usage {
  readonly dir: string
  readonly diskBytes: number
  readonly maxCacheBytes: number
  readonly parts: Readonly<Record<CachePart, number>>
  readonly by: string
  /** Largest first. */
  readonly results: readonly Group[]
  readonly toolCaches: readonly (SweptCache & { readonly label: string })[]
}

async function usageOf(cache: Cache, by: string, signal: AbortSignal): Promise<Usage> {
  const { maxCacheBytes } = await cache.catalog.usage()
  const parts: Record<CachePart, number> = { index: 0, journal: 0, blobs: 0, ledger: 0, trash: 0, other: 0 }
  for (const { part, sizeBytes } of ownEntries(cache.dir, { trash: true })) parts[part] += sizeBytes
  const diskBytes = Object.values(parts).reduce((sum, bytes) => sum + bytes, 0)
  const groups = new Groups()
  const originOf = originsOf(cache)
  const toolCaches: (SweptCache & { label: string })[] = []
  for (const entry of await entriesOf(cache)) {
    signal.throwIfAborted()
    const files = (await keptResult(cache, entry, signal))?.files ?? []
    const swept = sweptCache(files)
    if (swept !== undefined) toolCaches.push({ label: nameOf('task', originOf(entry)), ...swept })
    if (by !== 'extension') groups.add(nameOf(by, originOf(entry)), entry.contentBytes, keyOf(entry))
    else for (const { path, sizeBytes } of files) groups.add(extname(path) || '(none)', sizeBytes, keyOf(entry))
  }
  return {
    dir: cache.dir,
    diskBytes,
    maxCacheBytes,
    parts,
    by,
    results: groups.largestFirst(),
    toolCaches: largestOfEach(toolCaches),
  }
}

/** The same key is another result in another instance. */
function keyOf({ action, instance }: CatalogEntry): string {
  return `${action.hash} ${instance}`
}

function nameOf(by: string, origin: Origin | undefined): string {
  const name = by === 'project' ? origin?.root : origin?.label
  return name === undefined || name === '' ? '(not known)' : name
}

class Groups {
  readonly #byName = new Map<string, { contentBytes: number; keys: Set<string> }>()

  add(name: string, contentBytes: number, key: string): void {
    const group = this.#byName.get(name) ?? { contentBytes: 0, keys: new Set() }
    this.#byName.set(name, group)
    group.contentBytes += contentBytes
    group.keys.add(key)
  }

  largestFirst(): Group[] {
    return [...this.#byName]
      .map(([name, { contentBytes, keys }]) => ({ name, results: keys.size, contentBytes }))
      .sort((a, b) => b.contentBytes - a.contentBytes)
  }
}

/** Of every task its largest is enough: the others are the same again. */
function largestOfEach<Swept extends { readonly label: string; readonly path: string; readonly contentBytes: number }>(
  found: readonly Swept[],
): Swept[] {
  const largest = new Map<string, Swept>()
  for (const swept of found) {
    const name = `${swept.label}\0${swept.path}`
    if ((largest.get(name)?.contentBytes ?? -1) < swept.contentBytes) largest.set(name, swept)
  }
  return [...largest.values()].sort((a, b) => b.contentBytes - a.contentBytes)
}

function print({ options, output }: CommandContext<typeof OPTIONS>, usage: Usage): void {
  const { stdout } = output
  const { paint } = stdout.terminal
  stdout.line(`${formatSize(usage.diskBytes)} of ${formatSize(usage.maxCacheBytes)} in ${oneLine(usage.dir)}`)
  const parts = Object.entries(usage.parts).filter(([, bytes]) => bytes > 0)
  stdout.line(paint('dim', parts.map(([part, bytes]) => `${part} ${formatSize(bytes)}`).join(' · ')))
  printGroups(stdout, usage, options.limit)
  for (const { label, path, contentBytes } of usage.toolCaches) {
    stdout.line()
    stdout.line(
      `${paint('yellow', 'hint')}: the outputs of ${oneLine(label)} hold ${formatSize(contentBytes)} of ${oneLine(path)}/,`,
    )
    stdout.line(`      a tool's own cache. Declare what lies beside it as outputs instead.`)
  }
}

function printGroups(stdout: Stream, { results, by }: Usage, most: number): void {
  if (results.length === 0) return
  const shown = results.slice(0, most)
  const columns = [
    { title: by, flexible: true },
    { title: 'results', align: 'right' as const },
    { title: 'size', align: 'right' as const },
  ]
  const rows = shown.map(({ name, results: count, contentBytes }) => [name, String(count), formatSize(contentBytes)])
  stdout.line()
  for (const line of table(columns, rows, stdout.terminal)) stdout.line(line)
  const rest = results.length - shown.length
  if (rest > 0) stdout.line(stdout.terminal.paint('dim', `… and ${rest} more: --limit ${results.length}`))
}
