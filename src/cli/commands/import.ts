import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import { CacheError, systemCode } from '../../errors.ts'
import type { ImportReport } from '../../store/archive/import-archive.ts'
import { formatSize } from '../../units/size.ts'
import { type CommandContext, defineCommand } from '../command.ts'

const OPTIONS = {
  instance: { kind: 'text', value: 'NAME', summary: 'For this instance of a server. Default: the one without a name.' },
} as const

export const command = defineCommand({
  name: 'import',
  summary: 'Keep the results that are in an exported file',
  usage: ['import FILE'],
  description:
    'Every blob and every result is checked against its SHA-256 before it is kept. Import only files of people whose ' +
    'builds you would run: who made the file says what the results are. - is the standard input.\n' +
    'With --json: { actions, blobs, contentBytes, known, replaced }.',
  options: OPTIONS,
  arguments: { min: 1, max: 1 },
  examples: [{ line: 'recue import cache.tar.zst', does: 'What recue export wrote, here or elsewhere.' }],
  async run(context) {
    const [file = ''] = context.args
    const { importArchive } = await import('../../store/archive/import-archive.ts')
    await using session = await context.open()
    const report = await importArchive(session.cache, bytesOf(file, context.cwd), {
      scope: { instance: context.options.instance ?? '' },
      signal: context.signal,
    })
    if (context.options.json) context.output.json(report)
    else say(context, report)
    return 0
  },
})

async function* bytesOf(file: string, cwd: string): AsyncGenerator<Uint8Array> {
  try {
    yield* file === '-' ? process.stdin : createReadStream(resolve(cwd, file), { highWaterMark: 1 << 18 })
  } catch (error) {
    if (systemCode(error) === undefined) throw error
    throw new CacheError('usage', `${file} cannot be read (${systemCode(error)}).`, { cause: error })
  }
}

function say({ output }: CommandContext<typeof OPTIONS>, report: ImportReport): void {
  const { actions, blobs, contentBytes, known, replaced } = report
  const { line } = output.stdout
  line(
    `Imported ${actions} result${actions === 1 ? '' : 's'}: ${formatSize(contentBytes)} in ${blobs} blob${blobs === 1 ? '' : 's'}.`,
  )
  if (known > 0) line(`Known already: ${known}.`)
  if (replaced > 0) line(`In the place of another result for the same work: ${replaced}.`)
}
