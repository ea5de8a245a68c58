import { resolve } from 'node:path'
import { CacheError } from '../../errors.ts'
import { POLICIES, type PolicyName } from '../../evict/policies.ts'
import type { Trace } from '../../evict/trace.ts'
import { FORMATS, type FormatName } from '../../evict/traces/formats.ts'
import { ledgerTrace } from '../../observe/ledger-trace.ts'
import { formatSize, parseSize } from '../../units/size.ts'
import { type CommandContext, defineCommand } from '../command.ts'
import { naming } from '../settings.ts'
import { compareAt, type Demand, demandOf, type PolicyResult, type SizeResult } from '../simulate/comparison.ts'
import { missCurve } from '../simulate/miss-curve.ts'
import { readTraceFile } from '../simulate/trace-file.ts'
import { didYouMean } from '../suggestion.ts'
import { type Column, table } from '../table.ts'

const OPTIONS = {
  policy: {
    kind: 'list',
    value: 'NAME',
    summary: `Replay through this one; repeat it. One of ${Object.keys(POLICIES).join(', ')}. Default: those for use.`,
  },
  size: {
    kind: 'list',
    value: 'SIZE',
    summary: 'A size of the cache; repeat it. Default: from a 32nd to half of all that the trace asks for.',
  },
  objects: { kind: 'flag', summary: 'Count objects instead of bytes, as for traces that have no sizes.' },
  format: {
    kind: 'choice',
    value: 'FORMAT',
    choices: Object.keys(FORMATS),
    summary: 'Of the trace, where its name and first bytes do not tell.',
  },
} as const

const DEFAULT_POLICIES: readonly PolicyName[] = ['gdsf', 'lru', 'lfu-da', 'sieve', 's3-fifo', 'arc', 'w-tinylfu']
const LETTERS: Readonly<Record<PolicyName | 'belady', string>> = {
  fifo: 'F',
  lru: 'L',
  clock: 'C',
  lfu: 'U',
  'lfu-da': 'D',
  arc: 'A',
  sieve: 'S',
  's3-fifo': '3',
  's3-fifo-original': 'O',
  'w-tinylfu': 'W',
  gdsf: 'G',
  'gdsf-original': 'P',
  belady: '.',
}
/** As the root of 2 apart; the table shows every second. */
const LADDER = Array.from({ length: 9 }, (_, step) => 2 ** (step / 2 - 5))

export const command = defineCommand({
  name: 'simulate',
  summary: 'Replay what was asked of the cache through other policies and sizes',
  usage: ['simulate [--policy NAME]… [--size SIZE]… [TRACE]'],
  description:
    'How much would have to be done again if the cache were so large, and other results left first: the runs that this ' +
    "cache recorded, or a published trace, through each policy, and beside them Belady's, which knows the future: " +
    'the optimum where all objects are alike in size and cost, else something to compare with. A missed run weighs what its ' +
    'command takes, where that is known. The last column is in percentage points. Where lines of the curve meet, the policy named ' +
    'first is seen.\n' +
    'With --json: { requests, objects, bytes, footprint, costMs, unit, sizes: [{ capacity, results }] }.',
  options: OPTIONS,
  arguments: { min: 0, max: 1 },
  examples: [
    { line: 'recue simulate', does: 'What this machine ran.' },
    { line: 'recue simulate --policy gdsf --policy lru --size 2GB', does: 'Two policies, at one size.' },
    { line: 'recue simulate --size 1000 OLTP.lis.gz', does: 'A trace of the ARC paper, 1000 blocks.' },
  ],
  async run(context) {
    const { options, output, signal } = context
    const policies = options.policy.length === 0 ? DEFAULT_POLICIES : options.policy.map(policyOf)
    const given = options.size.map(sizeOf)
    const trace = await traceOf(context)
    if (trace.requests === 0) {
      if (options.json) output.json({ requests: 0, sizes: [] })
      else output.stdout.line(context.args.length > 0 ? 'The trace is empty.' : 'Nothing has been run yet.')
      return 0
    }
    const countsObjects = options.objects || trace.sizes === undefined
    const demand = demandOf(trace, countsObjects)
    const sizes: SizeResult[] = []
    for (const capacity of given.length > 0 ? given : ladder(demand.footprint))
      sizes.push(await compareAt(trace, demand, policies, { capacity, countsObjects }, signal))
    if (options.json) output.json({ ...demand, unit: countsObjects ? 'objects' : 'bytes', sizes })
    else
      print(context, demand, {
        sizes,
        isLadder: given.length === 0,
        countsObjects,
        hasSizes: trace.sizes !== undefined,
      })
    return 0
  },
})

type Context = CommandContext<typeof OPTIONS>

async function traceOf(context: Context): Promise<Trace> {
  const [file] = context.args
  const format = context.options.format as FormatName | undefined
  if (file !== undefined) return readTraceFile(resolve(context.cwd, file), format, context.signal)
  await using session = await context.open({ looksOnly: true })
  return ledgerTrace(session.cache.ledger.records())
}

function policyOf(name: string): PolicyName {
  if (Object.hasOwn(POLICIES, name)) return name as PolicyName
  const known = Object.keys(POLICIES)
  throw new CacheError('usage', `--policy: there is no "${name}"; there are ${known.join(', ')}.`, {
    hint: didYouMean(name, known) ?? 'belady is always there, to compare with.',
  })
}

function sizeOf(text: string): number {
  const size = naming('--size', () => parseSize(text))
  if (size > 0) return size
  throw new CacheError('usage', `--size: a cache of "${text}" holds nothing.`, {
    hint: 'Write it like 20MB, 2GiB or 512.',
  })
}

function ladder(footprint: number): number[] {
  return [...new Set(LADDER.map((share) => Math.max(1, Math.round(share * footprint))))]
}

interface Outcome {
  readonly sizes: readonly SizeResult[]
  readonly isLadder: boolean
  readonly countsObjects: boolean
  readonly hasSizes: boolean
}

function print({ output }: Context, demand: Demand, { sizes, isLadder, countsObjects, hasSizes }: Outcome): void {
  const { stdout } = output
  const { paint } = stdout.terminal
  const sizeText = (size: number) => (countsObjects ? count(size) : formatSize(size))
  const all = countsObjects ? '' : ` of ${formatSize(demand.footprint)}`
  stdout.line(`${count(demand.requests)} requests for ${count(demand.objects)} objects${all}`)
  const shown = isLadder && sizes.length === LADDER.length ? sizes.filter((_, at) => at % 2 === 0) : sizes
  const cells = columns(demand, hasSizes)
  for (const { capacity, results } of shown) {
    stdout.line()
    stdout.line(paint('bold', `cache of ${sizeText(capacity)}`))
    const rows = results.map((result) => cells.map(({ cell }) => cell(result)))
    for (const line of table(cells.map(columnOf), rows, stdout.terminal)) stdout.line(line)
  }
  if (sizes.length > 1) printCurve(stdout, demand, sizes, sizeText)
}

function printCurve(
  stdout: Context['output']['stdout'],
  { costMs }: Demand,
  sizes: readonly SizeResult[],
  sizeText: (size: number) => string,
): void {
  const policies = (sizes[0] as SizeResult).results.map(({ policy }) => policy)
  const series = policies.map((policy, at) => ({
    letter: LETTERS[policy],
    values: sizes.map(({ results }) => {
      const { costRatio, missRatio } = results[at] as PolicyResult
      return costRatio ?? missRatio
    }),
  }))
  stdout.line()
  stdout.line(
    stdout.terminal.paint('bold', `${costMs ? 'cost-weighted miss ratio' : 'miss ratio'} by size of the cache`),
  )
  const labels = sizes.map(({ capacity }) => sizeText(capacity))
  for (const line of missCurve(series, labels, stdout.terminal.columns)) stdout.line(line)
  stdout.line(policies.map((policy) => `${LETTERS[policy]} ${policy}`).join('  '))
}

interface TableColumn {
  readonly title: string
  readonly cell: (result: PolicyResult) => string
}

function columns(demand: Demand, hasSizes: boolean): TableColumn[] {
  return [
    { title: 'policy', cell: ({ policy }) => policy },
    { title: 'misses', cell: ({ misses }) => count(misses) },
    { title: 'miss ratio', cell: ({ missRatio }) => percent(missRatio) },
    ...(hasSizes ? [{ title: 'missed bytes', cell: bytesCell }] : []),
    ...(demand.costMs ? [{ title: 'of the cost', cell: costCell }] : []),
    { title: 'over Belady', cell: overCell },
  ]
}

function columnOf({ title }: TableColumn): Column {
  return { title, align: title === 'policy' ? 'left' : 'right' }
}

function bytesCell({ missedBytes }: PolicyResult): string {
  return formatSize(missedBytes)
}

function costCell({ costRatio = 0 }: PolicyResult): string {
  return percent(costRatio)
}

function overCell({ policy, overBelady }: PolicyResult): string {
  return policy === 'belady' ? '' : `${overBelady < 0 ? '' : '+'}${(100 * overBelady).toFixed(2)}`
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`
}

/** `12 345`: a thin gap between thousands reads the same in every country. */
function count(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ' ')
}
