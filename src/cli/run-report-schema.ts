import * as z from 'zod'

const RUN = z.strictObject({
  task: z.string().nullable().describe("The task's name; null for a command line."),
  command: z.array(z.string()).describe('The program and its arguments.'),
  status: z
    .enum(['hit', 'miss', 'uncached', 'bypassed'])
    .describe(
      'hit: replayed; miss: ran, and the result is kept; uncached: ran, and the result is not kept; bypassed: ran without asking the cache.',
    ),
  key: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable()
    .describe('SHA-256 of the action; null where none could be made.'),
  exitCode: z.int().min(0).describe("The command's own; 128+n when signal n ended it, 124 when --timeout did."),
  startedAt: z.iso.datetime().describe('UTC.'),
  durationMs: z.number().min(0).describe('Wall time of the run.'),
  ownMs: z.number().min(0).describe("recue's own share of durationMs."),
  savedMs: z.number().min(0).describe('Of a hit: what the command took when it ran, less durationMs.'),
  source: z.enum(['local', 'remote']).nullable().describe('Where a hit came from.'),
  outputs: z.array(z.string()).describe('Output files, relative to the root.'),
  outputBytes: z.number().min(0).describe('Content bytes of the outputs.'),
  isLeft: z.boolean().describe('Of a hit at a remote cache: its outputs were left there (--remote-download).'),
  reason: z.string().nullable().describe('Why it missed, was not kept, or was not asked for; null on a hit.'),
})

const RUNS = z.strictObject({
  runs: z.array(RUN).describe('In the order in which they ended.'),
  notRun: z.array(z.string()).describe('Tasks that were not begun, since one before them failed.'),
  exitCode: z.int().min(0).describe('That of the first failure.'),
  durationMs: z.number().min(0),
  savedMs: z.number().min(0),
})

/** What `--report` writes and `--json` prints: of one run, or of several tasks. */
export const REPORT_SCHEMA = z.union([RUN, RUNS]).meta({ title: 'recue run report' })

/** JSON Schema (2020-12). */
export function reportJsonSchema(): unknown {
  return z.toJSONSchema(REPORT_SCHEMA)
}
