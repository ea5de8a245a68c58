import { commandDurationMs, completedMs } from '../../action/action-result.ts'
import { READER_GONE_EXIT } from '../../action/run/stream-sink.ts'
import type { Cache } from '../../cache.ts'
import { CacheError } from '../../errors.ts'
import { labelOf } from '../../observe/thing.ts'
import type { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { DEFAULT_SCOPE } from '../../store/contracts.ts'
import { formatSize } from '../../units/size.ts'
import { type CommandContext, defineCommand } from '../command.ts'
import { type KeptResult, keptResult, type Origin, originsOf } from '../kept-result.ts'
import { type FoundKey, INSTANCE_OPTION } from '../key-lookup.ts'
import { namedEntry } from '../named-key.ts'
import { isGone, type Stream, writeAllWaiting } from '../output.ts'
import type { ResultFile } from '../result-files.ts'
import { oneLine, table } from '../table.ts'
import { ago, dateAndTime, pinText, tookText } from '../when.ts'

const OPTIONS = {
  stdout: { kind: 'flag', summary: "Print the command's standard output as it was, and nothing else." },
  stderr: { kind: 'flag', summary: "Print the command's standard error as it was, and nothing else." },
  all: { kind: 'flag', short: 'a', summary: 'List all outputs, not just the largest.' },
  ...INSTANCE_OPTION,
} as const

const SHOWN = 12

export const command = defineCommand({
  name: 'show',
  summary: 'Show what is kept under a key',
  usage: ['show TASK|KEY|last [--stdout|--stderr] [--all]'],
  description:
    'What produced it, when, how long it took, its outputs and their sizes: of the last run here, of the last one of a task or of a whole ' +
    'command line in quotes, or of a key. Six or more digits of a key are enough; what a build ' +
    'tool keeps is found by its own key, too, such as the hash that Turborepo prints.\n' +
    'With --json: { key, tool, toolKey, instance, label, root, command, workingDirectory, createdMs, accessedMs, hits, durationMs, exitCode, ' +
    'stdoutBytes, stderrBytes, contentBytes, outputs: [{ path, sizeBytes, isExecutable, target }] }.',
  options: OPTIONS,
  arguments: { min: 1, max: 1 },
  examples: [
    { line: 'recue show last', does: 'What the last run here made or replayed.' },
    { line: 'recue show 3f2a9c', does: 'What that result is, and what is in it.' },
    { line: 'recue show 3f2a9c --stdout', does: 'What the command printed.' },
    { line: 'recue show 3327693c43ba9014', does: 'Has the server what Turborepo calls so?' },
  ],
  async run(context) {
    await using session = await context.open({ looksOnly: true })
    const { cache } = session
    const { options } = context
    const found = await namedEntry(context.args[0] as string, session, options.instance)
    const kept = found.entry && (await keptResult(cache, found.entry, context.signal))
    if (kept === undefined) throw gone(found)
    if (options.stdout || options.stderr) return printed(context, cache, kept.result)
    const origin = found.entry && originsOf(cache)(found.entry)
    if (options.json) context.output.json(forPrograms(found, kept, origin))
    else printKept(context, found, kept, origin)
    return 0
  },
})

function gone({ key }: FoundKey): CacheError {
  return new CacheError(
    'store.no-entry',
    `No result is kept under ${key.hash}: it was not kept, or has been collected.`,
    {
      hint: 'recue ls lists what is kept.',
    },
  )
}

/** The exit code: without a reader, that of a command which SIGPIPE ended. */
async function printed(...what: Parameters<typeof printStreams>): Promise<number> {
  try {
    await printStreams(...what)
    return 0
  } catch (error) {
    if (isGone(error)) return READER_GONE_EXIT
    throw error
  }
}

async function printStreams(
  { options, signal }: CommandContext<typeof OPTIONS>,
  { blobs }: Cache,
  result: ActionResult,
): Promise<void> {
  const wanted = [
    { wanted: options.stdout, raw: result.stdoutRaw, digest: result.stdoutDigest },
    { wanted: options.stderr, raw: result.stderrRaw, digest: result.stderrDigest },
  ]
  for (const { raw, digest } of wanted.filter((stream) => stream.wanted)) {
    if (raw.length > 0 || digest === undefined) {
      await writeAllWaiting(1, raw)
      continue
    }
    await using bytes = await blobs.read(DEFAULT_SCOPE, digest, { signal })
    if (bytes === undefined) throw new CacheError('store.incomplete', 'The output is no longer there.')
    for await (const chunk of bytes) await writeAllWaiting(1, chunk)
  }
}

function forPrograms({ key, instance, entry }: FoundKey, kept: KeptResult, origin: Origin | undefined): unknown {
  const { result, command: message, files } = kept
  return {
    key: key.hash,
    tool: entry?.toolKey?.tool,
    toolKey: entry?.toolKey?.key,
    instance,
    label: origin?.label,
    root: origin?.root,
    command: message?.arguments,
    workingDirectory: message?.workingDirectory,
    createdMs: entry?.createdMs,
    accessedMs: entry?.accessedMs,
    hits: entry?.hits,
    durationMs: commandDurationMs(result),
    exitCode: result.exitCode,
    ...streamSizes(result),
    contentBytes: entry?.contentBytes,
    outputs: files,
  }
}

function printKept(
  { options, output }: CommandContext<typeof OPTIONS>,
  { key, entry }: FoundKey,
  kept: KeptResult,
  origin: Origin | undefined,
): void {
  const { stdout } = output
  const { paint } = stdout.terminal
  const field = (name: string, text: string) => stdout.line(`${paint('dim', name.padEnd(9))}${oneLine(text)}`)
  field('key', key.hash)
  for (const [name, text] of factsOf(kept, entry, origin)) field(name, text)
  const { files } = kept
  field('outputs', files === undefined ? 'no longer whole' : summaryOf(files))
  if (files !== undefined) printFiles(stdout, files, options.all)
}

function printFiles(stdout: Stream, files: readonly ResultFile[], all: boolean): void {
  const shown = all ? files : largest(files)
  const columns = [
    { title: '', align: 'right' as const },
    { title: '', flexible: true },
  ]
  const rows = shown.map((file) => [file.target === undefined ? formatSize(file.sizeBytes) : 'link', nameOf(file)])
  for (const line of table(columns, rows, stdout.terminal)) stdout.line(`  ${line}`)
  if (shown.length < files.length) {
    stdout.line(stdout.terminal.paint('dim', `  … and ${files.length - shown.length} more: --all`))
  }
}

function factsOf(
  { result, command: message }: KeptResult,
  entry: FoundKey['entry'],
  origin: Origin | undefined,
): readonly (readonly [string, string])[] {
  const nowMs = Date.now()
  const { stdoutBytes, stderrBytes } = streamSizes(result)
  const made = entry?.createdMs ?? completedMs(result)
  const line = message && labelOf(undefined, message.arguments)
  const facts: (readonly [string, string | undefined])[] = [
    ['task', origin?.label === line ? undefined : origin?.label],
    ['its key', entry?.toolKey?.key],
    ['command', line],
    ['instance', entry?.instance],
    ['in', [entry?.instance ? '' : origin?.root, message?.workingDirectory].filter(Boolean).join('/')],
    ['made', made === undefined ? undefined : `${dateAndTime(made)}, ${ago(made, nowMs)}`],
    ['took', tookText(commandDurationMs(result))],
    ['used', entry && usesOf(entry, nowMs)],
    ['pinned', pinText(entry?.pinnedUntilMs, nowMs)],
  ]
  // What a tool keeps under a key of its own is bytes, and no command that ended.
  if (entry?.toolKey === undefined)
    facts.push(
      ['exit', String(result.exitCode)],
      ['printed', `${formatSize(stdoutBytes)} to stdout, ${formatSize(stderrBytes)} to stderr`],
    )
  return facts.filter((fact): fact is [string, string] => fact[1] !== undefined && fact[1] !== '')
}

function usesOf({ hits, accessedMs }: { hits: number; accessedMs: number }, nowMs: number): string {
  // A use within the hour of the one before is not noted.
  if (hits === 0) return 'not since, as far as noted: once an hour'
  return `${hits === 1 ? 'once' : `${hits} times`}, last ${ago(accessedMs, nowMs)}`
}

function streamSizes(result: ActionResult): { stdoutBytes: number; stderrBytes: number } {
  return {
    stdoutBytes: result.stdoutDigest?.sizeBytes ?? result.stdoutRaw.length,
    stderrBytes: result.stderrDigest?.sizeBytes ?? result.stderrRaw.length,
  }
}

function summaryOf(files: readonly ResultFile[]): string {
  if (files.length === 0) return 'none: exit code and output alone are kept'
  const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  return `${files.length} ${files.length === 1 ? 'file' : 'files'}, ${formatSize(bytes)}`
}

function largest(files: readonly ResultFile[]): readonly ResultFile[] {
  return files.length <= SHOWN ? files : files.toSorted((a, b) => b.sizeBytes - a.sizeBytes).slice(0, SHOWN)
}

function nameOf({ path, isExecutable, target }: ResultFile): string {
  return target === undefined ? `${path}${isExecutable ? ' *' : ''}` : `${path} → ${target}`
}
