import { basename } from 'node:path'
import type { CatalogEntry } from '../../store/contracts.ts'
import { formatSize } from '../../units/size.ts'
import { type CommandContext, defineCommand } from '../command.ts'
import { entriesOf, type Origin, originsOf } from '../kept-result.ts'
import { SHOWN_DIGITS } from '../key-lookup.ts'
import { shorten, table } from '../table.ts'
import { ago, pinText, tookText } from '../when.ts'

const OPTIONS = {
  unused: { kind: 'duration', value: 'TIME', summary: 'Only what has not been used for TIME: --unused 30d.' },
  sort: {
    kind: 'choice',
    choices: ['age', 'used', 'size'],
    default: 'age',
    summary: 'Newest, last used, or largest first.',
  },
  limit: { kind: 'number', short: 'n', value: 'N', summary: 'At most N results. Default: 30, or all with --json.' },
} as const

/** Fits on a screen with the command line above it. */
const SHOWN = 30
const LONGEST_FOLDER = 14

export const command = defineCommand({
  name: 'ls',
  summary: 'List the results that are kept',
  usage: ['ls [--unused TIME] [--sort age|used|size]'],
  description:
    'Newest first. Sizes are of the content, before compression and before equal content is kept once.\n' +
    'With --json: an array of { key, tool?, toolKey?, instance, label, root, createdMs, accessedMs, hits, contentBytes, ' +
    'durationMs, pinned?, pinnedUntilMs? }.',
  options: OPTIONS,
  arguments: { min: 0, max: 0 },
  examples: [{ line: 'recue ls --unused 30d --sort size', does: 'What nobody has needed for a month, largest first.' }],
  async run(context) {
    await using session = await context.open({ looksOnly: true })
    const originOf = originsOf(session.cache)
    const nowMs = Date.now()
    const entries = chosen(await entriesOf(session.cache), context.options, nowMs)
    if (context.options.json) {
      context.output.json(entries.slice(0, context.options.limit).map((entry) => forPrograms(entry, originOf)))
    } else {
      print(context, entries, originOf, nowMs)
    }
    return 0
  },
})

type OriginOf = ReturnType<typeof originsOf>

type Options = { readonly unused: number | undefined; readonly sort: string }

function chosen(entries: CatalogEntry[], { unused, sort }: Options, nowMs: number): CatalogEntry[] {
  const left = unused === undefined ? entries : entries.filter(({ accessedMs }) => nowMs - accessedMs >= unused)
  const by = sort === 'size' ? 'contentBytes' : sort === 'used' ? 'accessedMs' : 'createdMs'
  return left.sort((a, b) => b[by] - a[by])
}

function forPrograms(entry: CatalogEntry, originOf: OriginOf): Record<string, unknown> {
  const { action, instance, toolKey, createdMs, accessedMs, hits, contentBytes, durationMs, pinnedUntilMs } = entry
  const { label = '', root } = originOf(entry) ?? {}
  return {
    key: action.hash,
    ...(toolKey && { tool: toolKey.tool, toolKey: toolKey.key }),
    instance,
    label,
    root,
    createdMs,
    accessedMs,
    hits,
    contentBytes,
    durationMs,
    ...pinOf(pinnedUntilMs),
  }
}

/** JSON has no infinity: pinned for ever is pinned without a time. */
function pinOf(untilMs: number | undefined): { pinned?: true; pinnedUntilMs?: number } {
  if (untilMs === undefined) return {}
  return Number.isFinite(untilMs) ? { pinned: true, pinnedUntilMs: untilMs } : { pinned: true }
}

function print(
  { options, output }: CommandContext<typeof OPTIONS>,
  entries: readonly CatalogEntry[],
  originOf: OriginOf,
  nowMs: number,
): void {
  const { stdout } = output
  if (entries.length === 0) {
    stdout.line(options.unused === undefined ? 'Nothing is kept yet.' : 'Nothing has been unused for so long.')
    return
  }
  const shown = entries.slice(0, options.limit ?? SHOWN)
  const hasPins = shown.some(({ pinnedUntilMs }) => pinnedUntilMs !== undefined)
  const rows = shown.map((entry) => [
    entry.action.hash.slice(0, SHOWN_DIGITS),
    ago(entry.createdMs, nowMs),
    ago(entry.accessedMs, nowMs),
    formatSize(entry.contentBytes),
    tookText(entry.durationMs),
    ...(hasPins ? [pinText(entry.pinnedUntilMs, nowMs)] : []),
    whatIs(entry, originOf(entry)),
    folderName(originOf(entry)),
  ])
  const columns = [
    { title: 'key' },
    { title: 'made', align: 'right' as const },
    { title: 'used', align: 'right' as const },
    { title: 'size', align: 'right' as const },
    { title: 'took', align: 'right' as const },
    ...(hasPins ? [{ title: 'pinned', align: 'right' as const }] : []),
    { title: 'what', flexible: true },
    { title: 'in' },
  ]
  for (const line of table(columns, rows, stdout.terminal)) stdout.line(line)
  const rest = entries.length - shown.length
  if (rest > 0) stdout.line(stdout.terminal.paint('dim', `… and ${rest} more: recue ls --limit ${entries.length}`))
}

/** With the tool's own key, which is what the tool prints. */
function whatIs({ toolKey }: CatalogEntry, origin: Origin | undefined): string {
  const label = origin?.label || 'from another client'
  return toolKey === undefined ? label : `${label} ${toolKey.key}`
}

/** What people know a project by. */
function folderName(origin: Origin | undefined): string {
  return shorten(basename(origin?.root ?? ''), LONGEST_FOLDER)
}
