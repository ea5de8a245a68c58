import { lstatSync, statSync } from 'node:fs'
import { bootId } from '../../store/local/boot.ts'
import { indexStamp } from '../../store/local/index-stamp.ts'
import {
  askedFor,
  digestOfEnvironment,
  REPEAT_VERSION,
  type RepeatFacts,
  type RepeatRecord,
  readRepeat,
  repeatPath,
} from './repeat-record.ts'

/** A use is marked about once an hour; a look-up half as late as that is still one. */
const TRUSTED_MS = 1_800_000

/** Everything that a run is asked by. */
export interface RepeatQuestion {
  /** As `process.argv` has it. */
  readonly argv: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The process's own: absolute, without links in it. */
  readonly cwd: string
  readonly cacheDir: string
  /** Whether standard output takes colours. */
  readonly colours: boolean
  readonly nowMs: number
}

/** What the same question came to, if nothing that it rested on has changed since. Looks only. */
export function standingRepeat(question: RepeatQuestion): RepeatFacts | undefined {
  const { argv, cwd, cacheDir } = question
  const asked = askedFor(argv, cwd)
  const record = readRepeat(repeatPath(cacheDir, asked))
  if (record === undefined || record.facts.asked !== asked) return undefined
  return isSameQuestion(record.facts, question) && isSameStore(record.facts, question) && isSameTree(record, cwd)
    ? record.facts
    : undefined
}

function isSameQuestion(facts: RepeatFacts, { environment, colours }: RepeatQuestion): boolean {
  return (
    facts.version === REPEAT_VERSION &&
    facts.colours === colours &&
    facts.environment === digestOfEnvironment(environment, facts.withheld)
  )
}

/** What the index would say it said then, too. After a while it is asked all the same, so that it counts the use. */
function isSameStore(facts: RepeatFacts, { cacheDir, nowMs }: RepeatQuestion): boolean {
  if (facts.lookedUpMs > nowMs || facts.lookedUpMs < nowMs - TRUSTED_MS) return false
  return facts.index === indexStamp(cacheDir)?.text && facts.boot === bootId()
}

function isSameTree({ facts, inputs, outputs, places, programs }: RepeatRecord, cwd: string): boolean {
  const base = facts.root === cwd ? '' : `${facts.root}/`
  if (inputs.nextChange(base) !== -1 || outputs.nextChange(base) !== -1) return false
  if (places.nextChange('') !== -1 || programs.nextChange('', 0, statSync) !== -1) return false
  for (let i = 0; i < facts.folders.length; i++)
    if (lstatSync(facts.folders[i] as string, { throwIfNoEntry: false })?.isDirectory() !== true) return false
  return true
}
