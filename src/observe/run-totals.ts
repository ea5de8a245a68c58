import type { RunTotals, TaskTotals } from '../proto/recue/v1/ledger.ts'
import type { RunRecord } from '../proto/recue/v1/recue.ts'

/** Command lines come in any number; those that ran least are summed under an empty label. */
const MOST_TASKS = 500

export function noTotals(): RunTotals {
  return {
    runs: 0,
    hits: 0,
    misses: 0,
    uncached: 0,
    bypassed: 0,
    savedMs: 0,
    restoredBytes: 0,
    storedBytes: 0,
    ownUs: 0,
    firstMs: 0,
    tasks: [],
  }
}

/** The sums over `records` and what `before` sums already. Tasks are sorted by their number of runs, most first. */
export function sumRuns(records: Iterable<RunRecord>, before: RunTotals = noTotals()): RunTotals {
  const totals = { ...before }
  const tasks = new Map(before.tasks.map((task) => [taskKey(task), { ...task }]))
  for (const record of records) {
    addRun(totals, record)
    const key = taskKey(record)
    const task = tasks.get(key) ?? { root: record.root, label: record.label, runs: 0, hits: 0, misses: 0, savedMs: 0 }
    tasks.set(key, task)
    addTaskRun(task, record)
  }
  return { ...totals, tasks: mostRun([...tasks.values()]) }
}

function addRun(totals: RunTotals, record: RunRecord): void {
  totals.runs++
  totals.savedMs += record.savedMs
  totals.firstMs = totals.firstMs === 0 ? record.startedMs : Math.min(totals.firstMs, record.startedMs)
  switch (record.status) {
    case 'hit':
      totals.hits++
      totals.restoredBytes += record.bytes
      totals.ownUs += record.ownUs
      break
    case 'miss':
      totals.misses++
      totals.storedBytes += record.bytes
      break
    case 'uncached':
      totals.uncached++
      break
    default:
      totals.bypassed++
  }
}

function addTaskRun(task: TaskTotals, record: RunRecord): void {
  task.runs++
  task.savedMs += record.savedMs
  if (record.status === 'hit') task.hits++
  if (record.status === 'miss') task.misses++
}

function mostRun(tasks: TaskTotals[]): TaskTotals[] {
  const named = tasks.filter((task) => task.label !== '').sort((a, b) => b.runs - a.runs)
  const rest = [...tasks.filter((task) => task.label === ''), ...named.slice(MOST_TASKS)]
  if (rest.length === 0) return named
  const others = { root: '', label: '', runs: 0, hits: 0, misses: 0, savedMs: 0 }
  for (const task of rest) {
    others.runs += task.runs
    others.hits += task.hits
    others.misses += task.misses
    others.savedMs += task.savedMs
  }
  return [...named.slice(0, MOST_TASKS), others]
}

function taskKey({ root, label }: { readonly root: string; readonly label: string }): string {
  return `${root}\0${label}`
}
