import { statSync } from 'node:fs'
import { isCacheError } from '../../errors.ts'
import { cacheFolderOf } from '../cache-folder.ts'
import { type CommandContext, defineCommand, type Session } from '../command.ts'
import { type Check, type Finding, fail, type Subject } from '../doctor/check.ts'
import { FOLDER_CHECKS } from '../doctor/folder-checks.ts'
import { MACHINE_CHECKS } from '../doctor/machine-checks.ts'
import { STORE_CHECKS } from '../doctor/store-checks.ts'
import type { Stream } from '../output.ts'
import { oneLine } from '../table.ts'

const OPTIONS = {
  verify: { kind: 'flag', summary: 'Read and hash everything that is kept, not a sample.' },
} as const

export const command = defineCommand({
  name: 'doctor',
  summary: 'Check the cache and what is around it',
  usage: ['doctor [--verify]'],
  description:
    'Looks at the folder, the file system, the index, the journal and a sample of what is kept, and says what to do ' +
    'about what is not well. Repairs nothing.\n' +
    'With --json: { status, dir, checks: [{ name, status, what, hint }] }; a status is ok, warn or fail.',
  options: OPTIONS,
  arguments: { min: 0, max: 0 },
  examples: [{ line: 'recue doctor --verify', does: 'After a crash of the machine, or with a disk you doubt.' }],
  exits: [{ code: 1, means: 'Something failed.' }],
  async run(context) {
    const dir = await cacheFolderOf(context)
    const opened = await openIfThere(context, dir)
    await using session = opened.session
    const subject: Subject = {
      dir,
      session,
      everything: context.options.verify,
      environment: context.environment,
      nowMs: Date.now(),
      signal: context.signal,
    }
    const found: Named[] = []
    for (const check of checksFor(subject, opened.fault)) {
      const named = { name: check.name, ...(await findingOf(check, subject)) }
      found.push(named)
      // One by one, since reading everything may take minutes.
      if (!context.options.json) printFinding(context.output.stdout, named)
    }
    const status = worst(found)
    if (context.options.json) context.output.json({ status, dir, checks: found })
    return status === 'fail' ? 1 : 0
  },
})

interface Opened {
  readonly session: Session | undefined
  readonly fault: Finding | undefined
}

type Named = Finding & { readonly name: string }

/** A doctor does not make the cache that it looks for. */
async function openIfThere(context: CommandContext<typeof OPTIONS>, dir: string): Promise<Opened> {
  if (statSync(dir, { throwIfNoEntry: false }) === undefined) return { session: undefined, fault: undefined }
  try {
    return { session: await context.open(), fault: undefined }
  } catch (error) {
    if (!isCacheError(error) || !error.code.startsWith('store.')) throw error
    return { session: undefined, fault: fail(error.message, error.hint ?? 'Name another folder with --cache-dir.') }
  }
}

function checksFor({ session }: Subject, fault: Finding | undefined): readonly Check[] {
  const opening = fault === undefined ? [] : [{ name: 'opening', find: () => fault }]
  return [...FOLDER_CHECKS, ...opening, ...(session === undefined ? [] : STORE_CHECKS), ...MACHINE_CHECKS]
}

/** A check that cannot be made has failed: that is a finding, too. */
async function findingOf(check: Check, subject: Subject): Promise<Finding> {
  try {
    return await check.find(subject)
  } catch (error) {
    if (subject.signal.aborted) throw error
    return fail(error instanceof Error ? error.message : String(error), 'This could not be looked at.')
  }
}

function worst(findings: readonly Finding[]): Finding['status'] {
  const has = (status: Finding['status']) => findings.some((finding) => finding.status === status)
  return has('fail') ? 'fail' : has('warn') ? 'warn' : 'ok'
}

const COLOURS = { ok: 'green', warn: 'yellow', fail: 'red' } as const
const INDENT = 19

function printFinding({ line, terminal }: Stream, { name, status, what, hint }: Named): void {
  line(`${terminal.paint(COLOURS[status], status.padEnd(4))}  ${name.padEnd(INDENT - 6)}${oneLine(what)}`)
  if (hint !== undefined) line(`${' '.repeat(INDENT)}${terminal.paint('dim', oneLine(hint))}`)
}
