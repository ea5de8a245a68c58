import type { CacheStats, OwnTime, TaskStats, ToolStats } from '../../observe/stats.ts'
import { cacheStats } from '../../observe/stats.ts'
import { formatDuration } from '../../units/duration.ts'
import { formatSize } from '../../units/size.ts'
import { type CommandContext, defineCommand } from '../command.ts'
import { table } from '../table.ts'
import { dateAndTime, tookText } from '../when.ts'

const OPTIONS = {
  since: { kind: 'duration', value: 'TIME', summary: 'Only runs of the last TIME: --since 7d.' },
  tasks: { kind: 'number', value: 'N', default: '10', summary: 'How many tasks to list.' },
} as const

export const command = defineCommand({
  name: 'stats',
  summary: 'Show hits, misses, the time saved, and what the cache itself costs',
  usage: ['stats [--since TIME]'],
  description:
    'All runs of all projects that use this cache folder. The time saved is what the commands took when they ran, less ' +
    'what their hits took.\nWith --json: the CacheStats of the library.',
  options: OPTIONS,
  arguments: { min: 0, max: 0 },
  examples: [{ line: 'recue stats --since 7d', does: 'The last week.' }],
  async run(context) {
    await using session = await context.open({ looksOnly: true })
    const { since } = context.options
    const stats = await cacheStats(session.cache, since === undefined ? {} : { sinceMs: Date.now() - since })
    if (context.options.json) context.output.json(stats)
    else print(context, stats)
    return 0
  },
})

function print({ output, options }: CommandContext<typeof OPTIONS>, stats: CacheStats): void {
  const { stdout } = output
  const { paint } = stdout.terminal
  if (stats.runs === 0) {
    stdout.line(options.since === undefined ? 'Nothing has been run yet.' : 'Nothing was run in that time.')
    return
  }
  const field = (name: string, text: string) => stdout.line(`${paint('dim', name.padEnd(15))}${text}`)
  field('runs', `${count(stats.runs)} since ${dateAndTime(stats.sinceMs ?? 0)}`)
  const remote = stats.remoteHits === 0 ? '' : `, ${count(stats.remoteHits)} of them from a remote cache`
  field('hits', `${count(stats.hits)}${stats.hitRate === undefined ? '' : ` (${percent(stats.hitRate)})`}${remote}`)
  field('misses', `${count(stats.misses)}${stats.uncached === 0 ? '' : `, and ${count(stats.uncached)} not kept`}`)
  if (stats.bypassed > 0) field('bypassed', count(stats.bypassed))
  field('time saved', paint('green', formatDuration(stats.savedMs)))
  field('restored', formatSize(stats.restoredBytes))
  field('stored', formatSize(stats.storedBytes))
  for (const [name, own] of Object.entries(stats.ownTime)) if (own !== undefined) field(`cost of a ${name}`, cost(own))
  const { diskBytes, maxCacheBytes, actions } = stats.store
  field('on disk', `${formatSize(diskBytes)} of ${formatSize(maxCacheBytes)}, ${count(actions)} results`)
  if (stats.tools.some(({ tool }) => tool !== '')) printTools(output.stdout, stats.tools)
  printTasks(output.stdout, stats.tasks, options.tasks)
}

function printTools(stdout: CommandContext['output']['stdout'], tools: readonly ToolStats[]): void {
  const columns = [
    { title: 'tool', flexible: true },
    { title: 'asked', align: 'right' as const },
    { title: 'hits', align: 'right' as const },
    { title: 'rate', align: 'right' as const },
    { title: 'saved', align: 'right' as const },
  ]
  const rows = tools.map(({ tool, runs, hits, hitRate, savedMs }) => [
    tool === '' ? 'recue run' : tool,
    ...[count(runs), count(hits), hitRate === undefined ? '' : percent(hitRate), tookText(savedMs)],
  ])
  stdout.line()
  for (const line of table(columns, rows, stdout.terminal)) stdout.line(line)
}

function printTasks(stdout: CommandContext['output']['stdout'], tasks: readonly TaskStats[], most: number): void {
  const columns = [
    { title: 'task', flexible: true },
    { title: 'runs', align: 'right' as const },
    { title: 'hits', align: 'right' as const },
    { title: 'rate', align: 'right' as const },
    { title: 'saved', align: 'right' as const },
    { title: 'in', flexible: false },
  ]
  const shown = tasks.slice(0, most)
  const rows = shown.map(({ label, root, runs, hits, hitRate, savedMs }) => [
    label === '' ? 'others' : label,
    count(runs),
    count(hits),
    hitRate === undefined ? '' : percent(hitRate),
    tookText(savedMs),
    root.split('/').at(-1) ?? '',
  ])
  stdout.line()
  for (const line of table(columns, rows, stdout.terminal)) stdout.line(line)
  if (tasks.length > shown.length) {
    stdout.line(stdout.terminal.paint('dim', `… and ${tasks.length - shown.length} more: --tasks ${tasks.length}`))
  }
}

function cost({ p50Ms, p95Ms }: OwnTime): string {
  return `${formatDuration(p50Ms)} (median), ${formatDuration(p95Ms)} (95 of 100 are faster)`
}

/** `98 %`; never 100 % while one is missing. */
function percent(share: number): string {
  return `${share < 1 ? Math.min(99, Math.round(share * 100)) : 100} %`
}

/** `12 345`: a thin gap between thousands reads the same in every country. */
function count(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ' ')
}
