import { expectTypeOf, test } from 'vitest'
import type * as z from 'zod'
import type { Config, TaskConfig } from './config.ts'
import type { PROJECT_SCHEMA } from './schema.ts'

type Schema = z.input<typeof PROJECT_SCHEMA>
type SchemaTask = NonNullable<Schema['tasks']>[string]

test('the type that people import says the same as the schema', () => {
  expectTypeOf<keyof Config>().toEqualTypeOf<keyof Schema>()
  expectTypeOf<keyof TaskConfig>().toEqualTypeOf<keyof SchemaTask>()
  expectTypeOf<Required<Config>>().toExtend<Required<Schema>>()
  expectTypeOf<Required<TaskConfig>>().toExtend<Required<SchemaTask>>()
})
