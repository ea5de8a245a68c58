import { Random, scale, seed } from './random.ts'

/** What was wrong with a case; undefined where all was as it must be. */
export type Verdict = string | undefined

export interface Campaign {
  /** Part of what a case is made from, so the same name and number make the same case. */
  readonly kind: string
  readonly cases: number
  /** How many at once. */
  readonly width?: number
}

/** A case that is not over by then hangs: the server owes an answer, or the end of the connection. */
const MOST_MS = 30_000
const MOST_TOLD = 12

/** Runs the cases. The first of what was found; nothing where all were as they must be. */
export async function findingsOf(
  { kind, cases, width = 16 }: Campaign,
  attempt: (random: Random, index: number) => Promise<Verdict>,
): Promise<string[]> {
  const count = Math.ceil(cases * scale)
  const only = process.env.RECUE_FUZZ_ONLY
  const findings: string[] = []
  let next = 0
  const worker = async () => {
    while (next < count && findings.length < MOST_TOLD) {
      const index = next++
      if (only !== undefined && Number(only) !== index) continue
      const verdict = await within(attempt(Random.ofCase(kind, index), index))
      if (verdict !== undefined)
        findings.push(`${kind} ${index} (RECUE_FUZZ_SEED=${seed} RECUE_FUZZ_ONLY=${index}): ${verdict}`)
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
  return findings
}

async function within(verdict: Promise<Verdict>): Promise<Verdict> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Verdict>((resolve) => {
    timer = setTimeout(() => resolve(`neither answered nor ended within ${MOST_MS} ms`), MOST_MS)
  })
  const failed = (error: unknown) => `the client failed: ${(error as Error).stack}`
  try {
    return await Promise.race([verdict.catch(failed), late])
  } finally {
    clearTimeout(timer)
  }
}

/** For a finding: what was sent, so that a person can read it. */
export function shown(bytes: Uint8Array | string): string {
  const text = JSON.stringify(typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('latin1'))
  return text.length <= 600 ? text : `${text.slice(0, 600)}… (${text.length})`
}
