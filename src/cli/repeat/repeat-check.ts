import { lstatSync, type Stats, statSync } from 'node:fs'
import { systemCode } from '../../errors.ts'
import { bootId } from '../../store/local/boot.ts'
import { indexStamp } from '../../store/local/index-stamp.ts'
import {
  askedFor,
  digestOfEnvironment,
  REPEAT_VERSION,
  type RepeatFacts,
  type RepeatProgram,
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
  // The tree first: where outputs were deleted, or an input was edited, the rest would be looked at in vain.
  return isSameTree(record, cwd) && isSameQuestion(record.facts, question) && isSameStore(record.facts, question)
    ? record.facts
    : undefined
}

function isSameQuestion(facts: RepeatFacts, { environment, colours }: RepeatQuestion): boolean {
  return (
    facts.version === REPEAT_VERSION &&
    facts.colours === colours &&
    facts.environment === digestOfEnvironment(environment, facts.unimportant)
  )
}

/** What the index would say it said then, too. After a while it is asked all the same, so that it counts the use. */
function isSameStore(facts: RepeatFacts, { cacheDir, nowMs }: RepeatQuestion): boolean {
  if (facts.lookedUpMs > nowMs || facts.lookedUpMs < nowMs - TRUSTED_MS) return false
  return facts.index === indexStamp(cacheDir)?.text && facts.boot === bootId()
}

function isSameTree({ facts, tree }: RepeatRecord, cwd: string): boolean {
  if (tree.nextChange(facts.root === cwd ? '' : `${facts.root}/`) !== -1) return false
  for (let i = 0; i < facts.absent.length; i++) if (!isAbsent(facts.absent[i] as string)) return false
  for (let i = 0; i < facts.folders.length; i++)
    if (lookAt(facts.folders[i] as string, lstatSync)?.isDirectory() !== true) return false
  for (let i = 0; i < facts.programs.length; i++) if (!isSameProgram(facts.programs[i] as RepeatProgram)) return false
  return true
}

/** By number, since taking an array apart costs Bun the more the first time. */
function isSameProgram(program: RepeatProgram): boolean {
  const now = lookAt(program[0], statSync)
  return (
    now !== undefined &&
    now.mtimeMs === program[1] &&
    now.ctimeMs === program[2] &&
    now.size === program[3] &&
    now.ino === program[4] &&
    now.mode === program[5]
  )
}

/** Where a file is in the place of a folder, nothing is behind it. */
function isAbsent(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) === undefined
  } catch (error) {
    return systemCode(error) === 'ENOTDIR'
  }
}

/** Undefined also where it may not be looked at. */
function lookAt(path: string, look: typeof lstatSync): Stats | undefined {
  try {
    return look(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}
