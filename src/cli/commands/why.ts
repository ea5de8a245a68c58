import { asActionDigest, type Digest } from '../../digest/digest.ts'
import { CacheError } from '../../errors.ts'
import { storedMessages } from '../../observe/messages.ts'
import { type Why, why } from '../../observe/why.ts'
import { shortWhy } from '../../observe/why-text.ts'
import type { RunRecord } from '../../proto/recue/v1/recue.ts'
import { DEFAULT_SCOPE } from '../../store/contracts.ts'
import { formatDuration } from '../../units/duration.ts'
import { type CommandContext, defineCommand, type Session } from '../command.ts'
import { changeLines } from '../explanation.ts'
import { findKey, looksLikeKey, SHOWN_DIGITS } from '../key-lookup.ts'
import { lastRun } from '../last-run.ts'
import type { Stream } from '../output.ts'
import { oneLine } from '../table.ts'
import { ago } from '../when.ts'

const OPTIONS = {
  all: { kind: 'flag', short: 'a', summary: 'List all changes, however many.' },
} as const

export const command = defineCommand({
  name: 'why',
  summary: 'Say why something ran instead of being replayed',
  usage: ['why [TASK|KEY|last] [--all]'],
  description:
    'Compares the key of a run with the one before it of the same task, or of the same command line in the same folder, ' +
    'and names what changed: the file, the variable, the argument. Values of variables are never shown, since they are ' +
    'not kept. A command line is named by its words in quotes.\n' +
    'With --json: { run, why: { kind, previous, changes, isCut }, short }. kind is changed, same-key, first, ' +
    'not-comparable or no-key.',
  options: OPTIONS,
  arguments: { min: 0, max: 1 },
  examples: [
    { line: 'recue why', does: 'The last run in this project: the same as `recue why last`.' },
    { line: 'recue why build', does: 'The last run of the task build.' },
    { line: "recue why 'npm test'", does: 'The last run of that command line.' },
  ],
  async run(context) {
    await using session = await context.open({ looksOnly: true })
    const run = await runAskedFor(context.args[0] ?? 'last', session)
    const answer = await explain(run, session)
    if (context.options.json) context.output.json(forPrograms(run, answer))
    else print(context, run, answer)
    return 0
  },
})

type Answer = Why | { readonly kind: 'no-key' }

/** `last`, then a task or command line of this project, then a key: a task may be called `abcdef`. */
async function runAskedFor(word: string, session: Session): Promise<RunRecord> {
  const last = lastRun(word, session)
  if (last !== undefined) return last
  if (!looksLikeKey(word)) throw unknown(word)
  const { cache } = session
  const { key } = await findKey(word, cache)
  for (const record of cache.ledger.records({ newestFirst: true })) {
    // The run that made it; later ones with the same key were hits.
    if (record.key?.hash === key.hash && record.status !== 'hit') return record
  }
  throw new CacheError('store.no-entry', `No run is recorded that made ${key.hash.slice(0, SHOWN_DIGITS)}.`)
}

function unknown(word: string): CacheError {
  if (word === 'last') return new CacheError('usage', 'Nothing has been run in this project yet.')
  return new CacheError('usage', `No run of ${word} is recorded in this project.`, {
    hint: 'Name a task, a whole command line in quotes, a key, or last.',
  })
}

async function explain({ thing, key, startedMs }: RunRecord, { cache }: Session): Promise<Answer> {
  if (key === undefined) return { kind: 'no-key' }
  const messages = storedMessages(cache.blobs, DEFAULT_SCOPE)
  return why({ thing, after: asActionDigest(key as Digest), beforeMs: startedMs }, { ledger: cache.ledger, messages })
}

function forPrograms(run: RunRecord, answer: Answer): unknown {
  return {
    run: runForPrograms(run),
    why: 'previous' in answer ? { ...answer, previous: runForPrograms(answer.previous) } : answer,
    short: answer.kind === 'no-key' ? run.reason : shortWhy(answer),
  }
}

function runForPrograms(run: RunRecord): unknown {
  const { label, root, startedMs, status, key, exitCode, durationMs, reason } = run
  return { label, root, startedMs, status, key: key?.hash, exitCode, durationMs, reason }
}

function print({ options, output }: CommandContext<typeof OPTIONS>, run: RunRecord, answer: Answer): void {
  const { stdout } = output
  stdout.line(runLine(run, stdout))
  switch (answer.kind) {
    case 'changed':
      stdout.line(`compared with ${runWords(answer.previous)}:`)
      for (const line of changeLines(answer, stdout.terminal, options.all)) stdout.line(`  ${line}`)
      if (answer.changes.length === 0) stdout.line('  nothing that is part of the key differs')
      return
    case 'same-key':
      stdout.line(`its key is the same as in ${runWords(answer.previous)}${run.status === 'hit' ? '.' : ','}`)
      if (run.status !== 'hit') stdout.line('of which no result was kept, or it was asked to run again.')
      return
    case 'first':
      stdout.line('it is the first run of this that is recorded.')
      return
    case 'not-comparable':
      stdout.line(`its key is another one than that of ${runWords(answer.previous)};`)
      stdout.line('what changed is not known, since one of the two was not kept or has been collected.')
      return
    case 'no-key':
      stdout.line('it has no key to compare.')
  }
}

function runLine({ label, status, key, startedMs, durationMs, reason }: RunRecord, { terminal }: Stream): string {
  const { paint } = terminal
  const colour = status === 'hit' ? 'green' : 'yellow'
  const hash = key === undefined ? '' : ` ${key.hash.slice(0, SHOWN_DIGITS)}`
  const took = `${ago(startedMs, Date.now())}, ${formatDuration(durationMs)}`
  // Of a miss the comparison says more.
  const because = status === 'hit' || status === 'miss' || reason === '' ? '' : `\n${oneLine(reason)}`
  return `${paint('bold', oneLine(label))}: ${paint(colour, status)}${hash}, ${took}${because}`
}

function runWords({ status, key, startedMs }: RunRecord): string {
  return `the ${status} of ${ago(startedMs, Date.now())} (${key?.hash.slice(0, SHOWN_DIGITS)})`
}
