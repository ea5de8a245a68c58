import type { Reporter, TestCase, TestModule } from 'vitest/node'

/** Prints, when all is done, what came of each client (its protocol first) in each scenario, and why one was skipped. */
export class OutcomeTable implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules
      .filter(({ moduleId }) => moduleId.endsWith('/clients.test.ts'))
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
  const clients = [...new Set(tests.map(({ parent }) => ('name' in parent ? parent.name : '')))]
  const scenarios = [...new Set(tests.map(({ name }) => name))]
  const rows = clients.map((client) => [
    client,
    ...scenarios.map((scenario) => {
      const test = tests.find(({ name, parent }) => name === scenario && 'name' in parent && parent.name === client)
      return test?.result().state ?? ''
    }),
  ])
  const widths = ['', ...scenarios].map((heading, i) =>
    Math.max(heading.length, ...rows.map((row) => row[i]?.length ?? 0)),
  )
  const lines = [['', ...scenarios], ...rows].map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  '))
  return [...lines.map((line) => line.trimEnd()), ...reasonsIn(tests)]
}

function reasonsIn(tests: readonly TestCase[]): string[] {
  const reasons = tests.flatMap((test) => {
    const result = test.result()
    if (result.state !== 'skipped' || result.note === undefined) return []
    return [`skipped: ${result.note} (${'name' in test.parent ? test.parent.name : ''})`]
  })
  return [...new Set(reasons)]
}
