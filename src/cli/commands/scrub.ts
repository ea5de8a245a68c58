import { CacheError } from '../../errors.ts'
import { type ScrubReport, scrub } from '../../operate/scrub.ts'
import { formatSize, parseSize } from '../../units/size.ts'
import { defineCommand } from '../command.ts'
import { naming } from '../settings.ts'

const OPTIONS = {
  limit: {
    kind: 'text',
    value: 'RATE',
    summary: 'Read no more than this much a second: --limit 50MiB/s. Default: as fast as the disk.',
  },
  all: { kind: 'flag', summary: 'Start from the beginning, not where the last scrub stopped.' },
} as const

export const command = defineCommand({
  name: 'scrub',
  summary: 'Read everything that is kept and check it by SHA-256',
  usage: ['scrub [--limit RATE] [--all]'],
  description:
    'Finds what a disk has let rot before a build needs it. What is damaged is moved aside and is missing from then on; what ' +
    'made it runs anew. Interrupted, it keeps its place, and the next scrub goes on from there.\n' +
    'With --json: { blobs, bytes, damagedBlobs, isDone }.',
  options: OPTIONS,
  arguments: { min: 0, max: 0 },
  examples: [{ line: 'recue scrub --limit 20MiB/s', does: 'At night, beside other work.' }],
  exits: [{ code: 1, means: 'Something was damaged.' }],
  async run(context) {
    const { limit, all, json } = context.options
    const bytesPerSecond = limit === undefined ? undefined : rateOf(limit)
    await using session = await context.open({ looksOnly: true })
    if (session.cache.readOnly)
      throw new CacheError('store.read-only', 'Nothing was scrubbed: the cache is open for reading only.', {
        hint: 'To read and check it, and change nothing: recue doctor --verify',
      })
    const report = await scrub(session.cache, {
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
      fromStart: all,
      signal: context.signal,
    })
    if (json) context.output.json(report)
    else context.output.stdout.line(sentenceOf(report))
    context.signal.throwIfAborted()
    return report.damagedBlobs === 0 ? 0 : 1
  },
})

/** `50MiB/s`, or without the `/s`. */
function rateOf(text: string): number {
  const rate = naming('--limit', () => parseSize(text.replace(/\s*\/\s*s$/, '')))
  if (rate > 0) return rate
  throw new CacheError('usage', `--limit: nothing can be read at "${text}".`, { hint: 'Write it like 50MiB/s.' })
}

function sentenceOf({ blobs, bytes, damagedBlobs, isDone }: ScrubReport): string {
  const read = `${blobs} ${blobs === 1 ? 'blob' : 'blobs'} read (${formatSize(bytes)})`
  const found = damagedBlobs === 0 ? 'all sound' : `${damagedBlobs} damaged and set aside; what made them will run anew`
  return `${read}: ${found}.${isDone ? '' : ' Not done: the next scrub goes on from here.'}`
}
