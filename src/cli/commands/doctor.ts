import { accessSync, constants, statSync } from 'node:fs'
import { CacheError, isCacheError } from '../../errors.ts'
import { type Inspection, isWell } from '../../operate/fault.ts'
import { hearCorruption } from '../../store/local/corrupt.ts'
import { cacheFolderOf } from '../cache-folder.ts'
import { type CommandContext, defineCommand, type Session } from '../command.ts'
import { type Check, type Finding, fail, type NamedFinding, type Subject, warn } from '../doctor/check.ts'
import { damageFindings } from '../doctor/damage-text.ts'
import { FOLDER_CHECKS } from '../doctor/folder-checks.ts'
import { MACHINE_CHECKS } from '../doctor/machine-checks.ts'
import { REMOTE_CHECKS } from '../doctor/remote-checks.ts'
import { CONTENT_CHECKS, STORE_CHECKS } from '../doctor/store-checks.ts'
import type { Stream } from '../output.ts'
import { REMOTE_OPTIONS } from '../remote-options.ts'
import { configureWithoutCache } from '../session.ts'
import { oneLine } from '../table.ts'

const OPTIONS = {
  verify: { kind: 'flag', summary: 'Read and hash everything that is kept, not a sample.' },
  repair: { kind: 'flag', summary: 'Verify, and mend what can be mended.' },
  dryRun: { kind: 'flag', short: 'n', summary: 'With --repair: say what it would mend; change nothing.' },
  ...REMOTE_OPTIONS,
} as const

export const command = defineCommand({
  name: 'doctor',
  summary: 'Check the cache and what is around it, and mend it',
  usage: ['doctor [--verify]', 'doctor --repair [--dry-run]'],
  description:
    'Looks at the folder, the file system, the index, the journal, a sample of what is kept and the remote cache that is configured, and says what to do ' +
    'about what is not well. With --verify everything is read, and nothing is changed. With --repair what is damaged is moved ' +
    'to damaged/ in the cache folder, what can be had from elsewhere in the cache is put back, and what is lost is named; ' +
    'others may use the cache meanwhile.\n' +
    'With --json: { status, dir, checks: [{ name, status, what, hint }] }; a status is ok, warn or fail. With --verify or ' +
    '--repair also found: { faults, lost: { results, blobs }, unfinished, seen }, and left, the same after the repair.',
  options: OPTIONS,
  arguments: { min: 0, max: 0 },
  examples: [
    { line: 'recue doctor --verify', does: 'After a crash of the machine, or with a disk you doubt.' },
    { line: 'recue doctor --repair --dry-run', does: 'What a repair would mend, and what is lost.' },
  ],
  exits: [{ code: 1, means: 'Something failed; with --repair, something could not be mended.' }],
  async run(context) {
    const { verify, repair, dryRun } = context.options
    if (dryRun && !repair) throw new CacheError('usage', '--dry-run is for --repair.')
    const dir = await cacheFolderOf(context)
    if (repair && !dryRun) refuseUnwritable(dir)
    const found: NamedFinding[] = []
    const tell = (finding: NamedFinding) => {
      found.push(finding)
      // One by one, since reading everything may take minutes.
      if (!context.options.json) printFinding(context.output.stdout, finding)
    }
    const looked = (verify || repair) && isThere(dir) ? await lookThrough(context, dir, tell) : undefined
    // A store that is opened sets aside what it finds damaged.
    const opened = looked?.isWell === false ? NOT_OPENED : await openIfThere(context, dir)
    await using session = opened.session
    const subject: Subject = {
      dir,
      session,
      layers: session?.layers ?? (await configureWithoutCache({ ...context, evaluate: true })).layers,
      cwd: context.cwd,
      environment: context.environment,
      nowMs: Date.now(),
      signal: context.signal,
    }
    for (const check of checksFor(subject, opened.fault, looked !== undefined))
      tell({ name: check.name, ...(await findingOf(check, subject)) })
    const status = worst(found)
    if (context.options.json) context.output.json({ status, dir, checks: found, ...(looked && jsonOf(looked.report)) })
    else printVerdict(context.output.stdout, status, looked !== undefined)
    return status === 'fail' ? 1 : 0
  },
})

interface Opened {
  readonly session: Session | undefined
  readonly fault: Finding | undefined
}

/** Keys of rows as they are written everywhere else. */
function jsonOf({ found, left }: Looked['report']): object {
  const legible = (inspection: Inspection) => ({
    ...inspection,
    faults: inspection.faults.map((fault) =>
      'key' in fault && typeof fault.key !== 'string'
        ? { ...fault, key: Buffer.from(fault.key).toString('hex') }
        : fault,
    ),
  })
  return { found: legible(found), ...(left && { left: legible(left) }) }
}

const NOT_OPENED: Opened = { session: undefined, fault: undefined }

interface Looked {
  /** Now: after the repair, if there was one. */
  readonly isWell: boolean
  readonly report: { readonly found: Inspection; readonly left?: Inspection | undefined }
}

/** Reads all of it, with the store closed, and mends it if that is asked for. */
async function lookThrough(
  { options, signal }: CommandContext<typeof OPTIONS>,
  dir: string,
  tell: (finding: NamedFinding) => void,
): Promise<Looked> {
  const { repairStore } = await import('../../operate/repair.ts')
  const report = await repairStore(dir, { dryRun: !options.repair || options.dryRun, signal })
  const { found, left } = report
  const isMended = left !== undefined && isWell(left)
  // What is mended is told, and is no failure any more.
  for (const finding of damageFindings(found, dir, isMended ? MENDED : undefined))
    tell(isMended && finding.status === 'fail' ? { ...finding, status: 'warn' } : finding)
  if (left === undefined) return { isWell: isWell(found), report }
  if (!isWell(found)) for (const finding of damageFindings(left, dir)) tell({ ...finding, name: 'repaired' })
  return { isWell: isMended, report }
}

const MENDED = 'Mended. What was damaged lies in damaged/ for a week.'

function refuseUnwritable(dir: string): void {
  try {
    if (isThere(dir)) accessSync(dir, constants.W_OK)
  } catch (cause) {
    throw new CacheError('store.read-only', `Nothing was repaired: ${dir} cannot be written.`, {
      hint: 'Check its permissions. To read and check it, and change nothing: recue doctor --verify',
      cause,
    })
  }
}

function isThere(dir: string): boolean {
  return statSync(dir, { throwIfNoEntry: false })?.isDirectory() === true
}

/** A doctor does not make the cache that it looks for. */
async function openIfThere(context: CommandContext<typeof OPTIONS>, dir: string): Promise<Opened> {
  if (statSync(dir, { throwIfNoEntry: false }) === undefined) return NOT_OPENED
  let damage: string | undefined
  using _ = hearCorruption(({ what, where }) => {
    damage ??= `${what} did not check out, and was set aside (${where})`
  })
  try {
    const session = await context.open({ looksOnly: true })
    return { session, fault: damage === undefined ? undefined : warn(damage, 'It was made anew of the rest.') }
  } catch (error) {
    if (!isCacheError(error) || !error.code.startsWith('store.')) throw error
    return { session: undefined, fault: fail(error.message, error.hint ?? 'Name another folder with --cache-dir.') }
  }
}

function checksFor({ session }: Subject, fault: Finding | undefined, isLookedThrough: boolean): readonly Check[] {
  const opening = fault === undefined ? [] : [{ name: 'opening', find: () => fault }]
  const content = isLookedThrough ? [] : CONTENT_CHECKS
  return [
    ...FOLDER_CHECKS,
    ...opening,
    ...(session === undefined ? [] : [...content, ...STORE_CHECKS]),
    ...REMOTE_CHECKS,
    ...MACHINE_CHECKS,
  ]
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

/** Whoever suspects the cache wants to know whether it can have been the cache. */
function printVerdict({ line, terminal }: Stream, status: Finding['status'], isLookedThrough: boolean): void {
  line()
  line(terminal.paint(COLOURS[status], VERDICTS[status]))
  if (status !== 'fail' && !isLookedThrough)
    line('This was a quick look. To read all that is kept: recue doctor --verify')
}

const VERDICTS = {
  ok: 'The cache is well.',
  warn: 'The cache works; see the warnings.',
  fail: 'The cache is not well; see what failed. What is damaged is never replayed: it counts as not kept.',
} as const

const COLOURS = { ok: 'green', warn: 'yellow', fail: 'red' } as const
const INDENT = 19

function printFinding({ line, terminal }: Stream, { name, status, what, hint }: NamedFinding): void {
  line(`${terminal.paint(COLOURS[status], status.padEnd(4))}  ${name.padEnd(INDENT - 6)}${oneLine(what)}`)
  if (hint !== undefined) line(`${' '.repeat(INDENT)}${terminal.paint('dim', oneLine(hint))}`)
}
