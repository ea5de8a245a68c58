import type { CollectReport, StoreUsage } from '../../store/contracts.ts'
import { formatSize } from '../../units/size.ts'
import { type CommandContext, defineCommand } from '../command.ts'

const OPTIONS = {
  dryRun: { kind: 'flag', short: 'n', summary: 'Say what would go; remove nothing.' },
  target: {
    kind: 'size',
    value: 'SIZE',
    summary: 'Make the cache this small: --target 2GB. Default: as the quota says.',
  },
} as const

export const command = defineCommand({
  name: 'gc',
  summary: 'Collect what the quota has no room for',
  usage: ['gc [--dry-run] [--target SIZE]'],
  description:
    'First goes what outlived its time (--ttl), then what saves the least time for its size and uses, with everything that ' +
    'only it needs; what was used in the last hour goes last, and what is pinned never. It happens by itself as well, when a ' +
    'quota is reached. It can be interrupted at any time; the next one goes on.\n' +
    'With --json: { removedActions, removedBlobs, freedBytes, keptActions, pinnedActions, diskBytes, dryRun }.',
  options: OPTIONS,
  arguments: { min: 0, max: 0 },
  examples: [{ line: 'recue gc --target 2GB --dry-run', does: 'What would have to go to get there.' }],
  async run(context) {
    await using session = await context.open()
    const { dryRun, target, json } = context.options
    const { catalog } = session.cache
    const report = await catalog.collect({
      dryRun,
      ...(target === undefined ? {} : { targetBytes: target }),
      signal: context.signal,
    })
    if (json) context.output.json({ ...report, dryRun })
    else print(context, report, await catalog.usage())
    return 0
  },
})

function print(
  { options, output }: CommandContext<typeof OPTIONS>,
  report: CollectReport,
  { maxCacheBytes }: StoreUsage,
): void {
  const { removedActions, removedBlobs, freedBytes, keptActions, pinnedActions, diskBytes } = report
  const { stdout } = output
  const room = `${formatSize(diskBytes)} of ${formatSize(maxCacheBytes)}`
  const pinned = pinnedActions === 0 ? '' : ` (${pinnedActions} pinned)`
  if (removedActions === 0 && removedBlobs === 0 && freedBytes === 0) {
    stdout.line(`Nothing to collect: ${many(keptActions, 'result')}${pinned}, ${room}.`)
    return
  }
  const what = `${many(removedActions, 'result')} and ${many(removedBlobs, 'blob')}, ${formatSize(freedBytes)}`
  stdout.line(options.dryRun ? `Would remove ${what}.` : `Removed ${what}.`)
  stdout.line(options.dryRun ? `Now: ${room}.` : `Kept ${many(keptActions, 'result')}${pinned}, ${room}.`)
}

function many(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`
}
