/** Writes `schema/`: the JSON Schemas of the config and of run reports, from the schemas in the code. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { jsonSchema } from '../src/cli/config/schema.ts'
import { reportJsonSchema } from '../src/cli/run-report-schema.ts'

/** Path under the repository → content. */
export function schemaFiles(): ReadonlyMap<string, string> {
  return new Map([
    ['schema/recue.schema.json', `${JSON.stringify(jsonSchema(), undefined, 2)}\n`],
    ['schema/run-report.schema.json', `${JSON.stringify(reportJsonSchema(), undefined, 2)}\n`],
  ])
}

if (import.meta.main) {
  mkdirSync(fileURLToPath(new URL('../schema', import.meta.url)), { recursive: true })
  for (const [path, content] of schemaFiles()) writeFileSync(new URL(`../${path}`, import.meta.url), content)
}
