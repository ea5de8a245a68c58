import { createWriteStream, renameSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { ActionDigest } from '../../digest/digest.ts'
import { CacheError, systemCode } from '../../errors.ts'
import type { ExportReport } from '../../store/archive/export-archive.ts'
import { formatSize } from '../../units/size.ts'
import { type CommandContext, defineCommand, type Session } from '../command.ts'
import { entriesOf } from '../kept-result.ts'
import { namedKey } from '../named-key.ts'
import { writeAllWaiting } from '../output.ts'

const OPTIONS = {
  used: { kind: 'duration', value: 'TIME', summary: 'Only what was used within TIME: --used 7d.' },
  instance: {
    kind: 'text',
    value: 'NAME',
    summary: 'Results of this instance of a server. Default: the one without a name.',
  },
} as const

type Context = CommandContext<typeof OPTIONS>

export const command = defineCommand({
  name: 'export',
  summary: 'Write results into one file, for another machine',
  usage: ['export FILE [TASK|KEY|last]… [--used TIME]'],
  description:
    'All results that are kept, or the last one here of each task that is named, or those of the keys; of one instance, which is the one without a name unless said. A file of that name is replaced ' +
    'when the new one is whole; - is the standard output. The file is a tar in zstd: docs/format.md.\n' +
    'With --json: { file, actions, blobs, contentBytes, bytes, absent: [key] }.',
  options: OPTIONS,
  arguments: { min: 1, max: Number.POSITIVE_INFINITY },
  examples: [
    { line: 'recue export cache.tar.zst', does: 'All of it, for a CI artifact.' },
    {
      line: 'recue export - build test | ssh other recue import -',
      does: 'The last results of two tasks, to another machine.',
    },
  ],
  exits: [{ code: 1, means: 'Some of what was named is not kept; the rest was written.' }],
  async run(context) {
    const [file = '', ...words] = context.args
    if (file === '-' && context.options.json)
      throw new CacheError('usage', '--json and the archive would both go to the standard output.')
    await using session = await context.open({ looksOnly: true })
    const keys = await keysOf(session, words, context.options)
    const { report, bytes } = await write(context, session, file, keys)
    say(context, file, report, bytes)
    if (words.length === 0) await sayOthers(context, session)
    return report.absent.length > 0 ? 1 : 0
  },
})

async function keysOf(
  session: Session,
  words: readonly string[],
  { used: usedMs, instance: named }: { readonly used: number | undefined; readonly instance: string | undefined },
): Promise<ActionDigest[]> {
  const instance = named ?? ''
  const recent = (await entriesOf(session.cache)).filter(
    (entry) => entry.instance === instance && (usedMs === undefined || Date.now() - entry.accessedMs <= usedMs),
  )
  if (words.length === 0) return recent.map(({ action }) => action)
  const kept = new Set(recent.map(({ action }) => action.hash))
  const keys: ActionDigest[] = []
  for (const word of words) {
    const { key, instance: found } = await namedKey(word, session, named)
    if (found !== instance)
      throw new CacheError('usage', `${word} is a result of the instance ${found} of a server.`, {
        hint: `Say --instance ${found}.`,
      })
    if (usedMs === undefined || kept.has(key.hash)) keys.push(key)
  }
  return keys
}

async function write(
  { cwd, signal, options: { instance = '' } }: Context,
  { cache }: Session,
  file: string,
  keys: readonly ActionDigest[],
): Promise<{ report: ExportReport; bytes: number }> {
  const { exportArchive } = await import('../../store/archive/export-archive.ts')
  let report: ExportReport | undefined
  let bytes = 0
  const archive = exportArchive(cache, keys, { scope: { instance }, signal, onEnd: (said) => (report = said) })
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of archive) {
      bytes += chunk.length
      yield chunk
    }
  }
  if (file === '-') for await (const chunk of counted()) await writeAllWaiting(1, chunk)
  else await toFile(resolve(cwd, file), counted(), signal)
  return { report: report as ExportReport, bytes }
}

/** Under another name until it is whole. */
async function toFile(file: string, archive: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  const partial = `${file}.${process.pid}.part`
  try {
    await pipeline(archive, createWriteStream(partial, { flags: 'wx', mode: 0o600 }), { signal })
    renameSync(partial, file)
  } catch (error) {
    rmSync(partial, { force: true })
    if (systemCode(error) === undefined || signal.aborted) throw error
    throw new CacheError('usage', `${file} cannot be written (${systemCode(error)}).`, { cause: error })
  }
}

/** An archive holds the results of one instance. */
async function sayOthers({ options, output }: Context, { cache }: Session): Promise<void> {
  const others = new Set((await entriesOf(cache)).map(({ instance }) => instance))
  others.delete(options.instance ?? '')
  if (others.size === 0 || options.json || options.quiet) return
  const names = [...others].slice(0, 8).map((name) => `--instance ${name === '' ? "''" : name}`)
  output.stderr.line(`Other instances are not in it: ${names.join(', ')}${others.size > 8 ? ', …' : ''}.`)
}

function say({ options, output }: Context, file: string, report: ExportReport, bytes: number): void {
  const { actions, blobs, contentBytes, absent } = report
  if (options.json) {
    output.json({ file, actions, blobs, contentBytes, bytes, absent: absent.map(({ hash }) => hash) })
    return
  }
  // The standard output may be the archive.
  const { line } = output.stderr
  const results = `${actions} result${actions === 1 ? '' : 's'}`
  line(
    `Exported ${results}: ${formatSize(contentBytes)} in ${blobs} blob${blobs === 1 ? '' : 's'}, ${formatSize(bytes)} written.`,
  )
  for (const { hash } of absent) line(`Not kept any more, so not exported: ${hash.slice(0, 10)}.`)
}
