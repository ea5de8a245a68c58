import { renameSync, type Stats, writeFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import type { RunOutcome } from '../../action/run-outcome.ts'
import { isRacy, type StatIdentity, statIdentity } from '../../digest/stat-identity.ts'
import { type SnapshotEntry, TreeSnapshot } from '../../digest/tree-snapshot.ts'
import { runRecordOf } from '../../observe/run-record.ts'
import { RunRecord } from '../../proto/recue/v1/recue.ts'
import { bootId } from '../../store/local/boot.ts'
import type { Work } from '../work.ts'
import type { HitWitness } from './hit-witness.ts'
import type { RepeatQuestion } from './repeat-check.ts'
import {
  askedFor,
  digestOfEnvironment,
  encodeRepeat,
  REPEAT_VERSION,
  type RepeatFacts,
  type RepeatProgram,
  repeatPath,
  unimportantNames,
} from './repeat-record.ts'

/** What was asked, and the stamp of the index that answered: see `repeatableAt`. */
export interface KeptQuestion extends Omit<RepeatQuestion, 'nowMs'> {
  readonly index: string
}

/** Writes down a hit that changed nothing, for `repeatedRun`. Failing is no error, only slower next time. */
export function keepRepeat(work: Work, outcome: RunOutcome, witness: HitWitness, question: KeptQuestion): void {
  const asked = askedFor(question.argv, question.cwd)
  const path = repeatPath(question.cacheDir, asked)
  const grounds = groundsOf(witness, work.request.root)
  const facts = { ...factsOf(work, outcome, witness, question), ...grounds.facts, asked }
  const bytes = encodeRepeat({ facts, tree: grounds.tree })
  try {
    writeFileSync(`${path}-${process.pid}`, bytes, { mode: 0o600 })
    renameSync(`${path}-${process.pid}`, path)
  } catch {
    // A full disk, or a folder that cannot be written.
  }
}

interface Grounds {
  readonly tree: TreeSnapshot
  readonly facts: Pick<RepeatFacts, 'absent' | 'folders' | 'programs'>
}

/** All that was looked at, by how it is looked at again. */
function groundsOf({ inputs, outputs, places, followed, startedMs }: HitWitness, root: string): Grounds {
  const present = new Map<string, StatIdentity>()
  const absent = new Set<string>()
  const folders: string[] = []
  const programs: RepeatProgram[] = []
  // Outputs are what is deleted most often.
  for (const snapshot of [outputs, inputs]) {
    snapshot?.paths.forEach((path, i) => {
      const identity = snapshot.identity(i)
      if (identity === undefined) absent.add(resolve(root, path))
      else present.set(path, identity)
    })
  }
  for (const [path, stats] of places) {
    if (stats === undefined) absent.add(path)
    else if (stats.isDirectory()) folders.push(path)
    else present.set(relative(root, path), trusted(stats, startedMs))
  }
  for (const [path, stats] of followed) {
    if (stats === undefined) absent.add(path)
    else {
      const { mtimeMs, ctimeMs, size, ino, mode } = trusted(stats, startedMs)
      programs.push([path, mtimeMs, ctimeMs, size, ino, mode])
    }
  }
  const entries: SnapshotEntry[] = []
  for (const [path, identity] of present) entries.push({ path, identity, hash: undefined })
  // What is racy is so already.
  const tree = TreeSnapshot.of(entries, { takenAtMs: Number.POSITIVE_INFINITY, id: 0, head: new Uint8Array(0) })
  return { tree, facts: { absent: [...absent], folders, programs } }
}

/** NaN equals nothing, and is null in JSON. */
function trusted(stats: Stats, takenAtMs: number): StatIdentity {
  const identity = statIdentity(stats)
  return isRacy(identity, takenAtMs) ? { ...identity, mtimeMs: Number.NaN } : identity
}

function factsOf(
  { request, task, settings }: Work,
  outcome: RunOutcome,
  witness: HitWitness,
  { environment, index, colours }: KeptQuestion,
): Omit<RepeatFacts, 'asked' | keyof Grounds['facts']> {
  const { exitCode, outputs, outputBytes, savedMs, durationMs, key } = outcome
  const entry = runRecordOf(request, task, { ...outcome, startedMs: 0, durationMs: 0, savedMs: 0, ownMs: 0 })
  const isSilent = settings.quiet || settings.outputLogs === 'none'
  const unimportant = unimportantNames(environment, witness.keyedNames)
  return {
    version: REPEAT_VERSION,
    environment: digestOfEnvironment(environment, unimportant),
    unimportant,
    boot: bootId(),
    index,
    lookedUpMs: witness.startedMs,
    root: request.root,
    colours,
    chunks: witness.chunks.map(([stream, bytes]) => [stream, bytes.toString('base64')]),
    exitCode,
    said: isSilent ? undefined : { key: key?.hash ?? '', files: outputs.length, bytes: outputBytes },
    commandMs: savedMs > 0 ? savedMs + durationMs : 0,
    entry: Buffer.from(RunRecord.encode(entry).finish()).toString('base64'),
  }
}
