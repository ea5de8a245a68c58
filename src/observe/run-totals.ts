import type { RunTotals, TaskTotals, ToolTotals } from '../proto/recue/v1/ledger.ts'
import type { RunRecord } from '../proto/recue/v1/recue.ts'

/** Command lines come in any number; those that ran least are summed under an empty label. */
const MOST_TASKS = 500

export function noTotals(): RunTotals {
  return {
    runs: 0,
    hits: 0,
    remoteHits: 0,
    misses: 0,
    uncached: 0,
    bypassed: 0,
    savedMs: 0,
    restoredBytes: 0,
    storedBytes: 0,
    ownUs: 0,
    firstMs: 0,
    tasks: [],
    tools: [],
  }
}

/** The sums over `records` and what `before` sums already. Tasks are sorted by their number of runs, most first. */
export function sumRuns(records: Iterable<RunRecord>, before: RunTotals = noTotals()): RunTotals {
  const totals = { ...before }
  const tasks = new Map(before.tasks.map((task) => [taskKey(task), { ...task }]))
  const tools = new Map(before.tools.map((tool) => [tool.tool, { ...tool }]))
  for (const record of records) {
    addRun(totals, record)
    addToolRun(tools, record)
    const key = taskKey(record)
    const task = tasks.get(key) ?? { root: record.root, label: record.label, runs: 0, hits: 0, misses: 0, savedMs: 0 }
    tasks.set(key, task)
    addTaskRun(task, record)
  }
  return { ...totals, tasks: mostRun([...tasks.values()]), tools: [...tools.values()].sort((a, b) => b.runs - a.runs) }
}

/** A record stands for one run, or for many alike that a server answered. */
function countOf({ count }: RunRecord): number {
  return count || 1
}

function addRun(totals: RunTotals, record: RunRecord): void {
  const runs = countOf(record)
  totals.runs += runs
  totals.savedMs += record.savedMs
  totals.firstMs = totals.firstMs === 0 ? record.startedMs : Math.min(totals.firstMs, record.startedMs)
  switch (record.status) {
    case 'hit':
      totals.hits += runs
      if (record.source === 'remote') totals.remoteHits += runs
      totals.restoredBytes += record.bytes
      totals.ownUs += record.ownUs
      break
    case 'miss':
      totals.misses += runs
      totals.storedBytes += record.bytes
      break
    case 'uncached':
      totals.uncached += runs
      break
    default:
      totals.bypassed += runs
  }
}

function addTaskRun(task: TaskTotals, record: RunRecord): void {
  const runs = countOf(record)
  task.runs += runs
  task.savedMs += record.savedMs
  if (record.status === 'hit') task.hits += runs
  if (record.status === 'miss') task.misses += runs
}

/** A server is asked by few tools; what names itself otherwise each time is one of them. */
const MOST_TOOLS = 50

function addToolRun(tools: Map<string, ToolTotals>, record: RunRecord): void {
  const name = tools.has(record.tool) || tools.size < MOST_TOOLS ? record.tool : 'others'
  const tool = tools.get(name) ?? { tool: name, runs: 0, hits: 0, misses: 0, bypassed: 0, savedMs: 0 }
  tools.set(name, tool)
  const runs = countOf(record)
  tool.runs += runs
  tool.savedMs += record.savedMs
  if (record.status === 'hit') tool.hits += runs
  if (record.status === 'miss') tool.misses += runs
  if (record.status === 'bypassed') tool.bypassed += runs
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
