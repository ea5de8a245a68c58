import type { Reporter, TestCase, TestModule } from 'vitest/node'
import { SCENARIOS } from './clients/client.ts'

/** Prints, when all is done, what came of each client (its protocol first) in each scenario, the seconds, and why one was skipped. */
export class OutcomeTable implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules
      .filter(({ moduleId }) => /\/clients\/[^/]+\.test\.ts$/.test(moduleId))
      .flatMap(({ children }) => [...children.allTests()])
      .filter(wasMeant)
    if (tests.length > 0) console.log(`\n${tableOf(tests).join('\n')}\n`)
  }
}

/** What a filter on the command line leaves out is skipped without a reason. */
function wasMeant(test: TestCase): boolean {
  const result = test.result()
  return result.state === 'skipped' ? result.note !== undefined : result.state !== 'pending'
}

function tableOf(tests: readonly TestCase[]): string[] {
  const clients = Map.groupBy(tests, clientOf)
  const rows = [...clients].map(([client, its]) => [
    client,
    ...SCENARIOS.map((scenario) => cellOf(its.find(({ name }) => name === scenario))),
    `${seconds(its)} s`,
  ])
  const heading = ['', ...SCENARIOS, 'in all']
  const widths = heading.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const lines = [heading, ...rows].map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  '))
  return [
    ...lines.map((line) => line.trimEnd()),
    '-: left out, for its builds take long and other clients go through it',
    ...reasonsIn(tests),
  ]
}

function cellOf(test: TestCase | undefined): string {
  if (test === undefined) return '-'
  const { state } = test.result()
  return state === 'skipped' ? state : `${state} ${seconds([test])} s`
}

function clientOf({ parent }: TestCase): string {
  return 'name' in parent ? parent.name : ''
}

function seconds(tests: readonly TestCase[]): string {
  return (tests.reduce((ms, test) => ms + (test.diagnostic()?.duration ?? 0), 0) / 1000).toFixed(1)
}

function reasonsIn(tests: readonly TestCase[]): string[] {
  const reasons = tests.flatMap((test) => {
    const result = test.result()
    if (result.state !== 'skipped' || result.note === undefined) return []
    return [`skipped: ${result.note} (${clientOf(test)})`]
  })
  return [...new Set(reasons)]
}
