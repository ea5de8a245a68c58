import { type Fault, type Inspection, isWell, type Lost } from '../../operate/fault.ts'
import { formatSize } from '../../units/size.ts'
import { fail, type NamedFinding, ok } from './check.ts'

/** A damaged store may have a million faults, and a person reads ten lines. */
const NAMED = 5

/** What an inspection found: a line for each damaged file, then what is lost. `next`: what a person is to know or do about it. */
export function damageFindings(
  inspection: Inspection,
  dir: string,
  next = 'Mend them: recue doctor --repair',
): NamedFinding[] {
  const { faults, unfinished, seen } = inspection
  const files = [...byFile(faults)]
  const more = files.length - NAMED
  const damaged = files.slice(0, NAMED).map(([file, its]) => `${shortOf(file, dir)}: ${sayings(its).join(', ')}`)
  if (more > 0) damaged.push(`${many(more, 'more file')}; --json names all`)
  const isOurs = faults.every((fault) => fault.kind !== 'folder' || fault.isMendable)
  const hint = isOurs ? next : 'Not mended: is this a cache of recue, or of a newer one?'
  const findings = [...failures('damaged', damaged, hint), ...lossFindings(inspection.lost)]
  const read = `${many(seen.records, 'record')} and ${formatSize(seen.hashedBytes)} of content read and hashed`
  if (isWell(inspection)) {
    const what = seen.results === 0 ? 'none yet' : `all ${seen.results} whole`
    findings.push({ name: 'results', ...ok(`${what}, ${read}`) })
  }
  for (const { file, records } of unfinished)
    findings.push({
      name: 'unfinished',
      ...ok(`${shortOf(file, dir)}: the next write takes in ${many(records, 'record')}`),
    })
  return findings
}

function lossFindings({ results, blobs }: Lost): NamedFinding[] {
  const lost = results.slice(0, NAMED).map(({ action, label }) => {
    const key = action.hash.slice(0, 12)
    return `result ${label === undefined ? key : `${label} (${key})`}`
  })
  const more = results.length - NAMED
  if (more > 0) lost.push(`${many(more, 'more result')}; --json names all`)
  const bytes = blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  if (blobs.length > 0) lost.push(`${many(blobs.length, 'blob')}, ${formatSize(bytes)} of content`)
  return failures('lost', lost, 'Nothing to do: what made them runs anew when it is asked for.')
}

/** The hint stands once, under the last. */
function failures(name: string, whats: readonly string[], hint: string): NamedFinding[] {
  return whats.map((what, i) =>
    i === whats.length - 1 ? { name, ...fail(what, hint) } : { name, status: 'fail', what },
  )
}

/** Each kind of fault once, with how many or how much. */
function sayings(faults: readonly Fault[]): string[] {
  const said: string[] = []
  const count = (kind: Fault['kind'], say: (n: number) => string) => {
    const n = faults.filter((fault) => fault.kind === kind).length
    if (n > 0) said.push(say(n))
  }
  let [journalBytes, ledgerBytes] = [0, 0]
  for (const fault of faults) {
    if (fault.kind === 'index' || fault.kind === 'accounts') said.push(fault.why)
    if (fault.kind === 'journal') journalBytes += fault.bytes
    if (fault.kind === 'ledger') ledgerBytes += fault.bytes
    if (fault.kind === 'reach')
      said.push(
        fault.rightBytes < fault.indexedBytes
          ? `ends ${formatSize(fault.indexedBytes - fault.rightBytes)} early`
          : 'the index does not know all of it',
      )
  }
  count('folder', () => 'not as recue writes it')
  count('row', (n) => `${many(n, 'row')} damaged, or of something that is not there`)
  count('unlisted', (n) => `${many(n, 'entry', 'entries')} of the journal missing`)
  count('journal', (n) => `${many(n, 'place')} damaged, ${formatSize(journalBytes)}`)
  count('content', (n) => `${many(n, 'blob')} with other content`)
  count('blob-file', () => 'damaged')
  count('blob-tail', () => 'too long')
  count('orphan', () => 'its record is lost')
  count('ledger', () => `${formatSize(ledgerBytes)} damaged; some runs are not counted`)
  return said
}

function byFile(faults: readonly Fault[]): ReadonlyMap<string, readonly Fault[]> {
  const files = new Map<string, Fault[]>()
  for (const fault of faults) {
    const its = files.get(fault.file)
    if (its === undefined) files.set(fault.file, [fault])
    else its.push(fault)
  }
  return files
}

/** Relative to the cache folder; of a blob as much of its name as tells it from others. */
function shortOf(file: string, dir: string): string {
  const name = file.startsWith(`${dir}/`) ? file.slice(dir.length + 1) : file
  return name.replace(/([0-9a-f]{12})[0-9a-f]{52}/, '$1…')
}

function many(n: number, one: string, more = `${one}s`): string {
  return `${n} ${n === 1 ? one : more}`
}
