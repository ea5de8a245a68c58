import { renameSync, type Stats, writeFileSync } from 'node:fs'
import type { RunOutcome } from '../../action/run-outcome.ts'
import { statIdentity } from '../../digest/stat-identity.ts'
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
  repeatPath,
} from './repeat-record.ts'

/** What was asked, and the stamp of the index that answered: see `repeatableAt`. */
export interface KeptQuestion extends Omit<RepeatQuestion, 'nowMs'> {
  readonly index: string
}

/** Writes down a hit that changed nothing, for `repeatedRun`. Failing is no error, only slower next time. */
export function keepRepeat(work: Work, outcome: RunOutcome, witness: HitWitness, question: KeptQuestion): void {
  const { inputs, outputs, startedMs } = witness
  if (inputs === undefined || outputs === undefined) return
  const asked = askedFor(question.argv, question.cwd)
  const folders: string[] = []
  const places = new Map<string, Stats | undefined>()
  for (const [path, stats] of witness.places) {
    if (stats?.isDirectory()) folders.push(path)
    else places.set(path, stats)
  }
  const facts = factsOf(work, outcome, witness, { ...question, asked, folders })
  const snapshot = (seen: ReadonlyMap<string, Stats | undefined>) => snapshotOf(seen, startedMs)
  const bytes = encodeRepeat({
    ...{ facts, inputs, outputs },
    ...{ places: snapshot(places), programs: snapshot(witness.followed) },
  })
  try {
    const path = repeatPath(question.cacheDir, asked)
    writeFileSync(`${path}-${process.pid}`, bytes, { mode: 0o600 })
    renameSync(`${path}-${process.pid}`, path)
  } catch {
    // A full disk, or a folder that cannot be written.
  }
}

function factsOf(
  { request, task, settings }: Work,
  outcome: RunOutcome,
  witness: HitWitness,
  at: KeptQuestion & Pick<RepeatFacts, 'asked' | 'folders'>,
): RepeatFacts {
  const { exitCode, outputs, outputBytes, savedMs, durationMs, key } = outcome
  const entry = runRecordOf(request, task, { ...outcome, startedMs: 0, durationMs: 0, savedMs: 0, ownMs: 0 })
  const isSilent = settings.quiet || settings.outputLogs === 'none'
  return {
    version: REPEAT_VERSION,
    asked: at.asked,
    environment: digestOfEnvironment(at.environment, witness.withheldNames),
    withheld: witness.withheldNames,
    boot: bootId(),
    index: at.index,
    lookedUpMs: witness.startedMs,
    root: request.root,
    folders: at.folders,
    colours: at.colours,
    chunks: witness.chunks.map(([stream, bytes]) => [stream, bytes.toString('base64')]),
    exitCode,
    said: isSilent ? undefined : { key: key?.hash ?? '', files: outputs.length, bytes: outputBytes },
    commandMs: savedMs > 0 ? savedMs + durationMs : 0,
    entry: Buffer.from(RunRecord.encode(entry).finish()).toString('base64'),
  }
}

function snapshotOf(seen: ReadonlyMap<string, Stats | undefined>, takenAtMs: number): TreeSnapshot {
  const entries: SnapshotEntry[] = []
  for (const [path, stats] of seen) entries.push({ path, identity: stats && statIdentity(stats), hash: undefined })
  return TreeSnapshot.of(entries, { takenAtMs, id: 0, head: new Uint8Array(0) })
}
