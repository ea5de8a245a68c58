import { createInterface } from 'node:readline/promises'
import { CacheError } from '../errors.ts'

/** Whether somebody sits there who can be asked. */
function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true
}

/** True for an answer that begins with `y`. Throws `usage` where nobody can answer: `hint` says how to go on without. */
export async function ask(
  question: string,
  options: { readonly hint: string; readonly signal: AbortSignal },
): Promise<boolean> {
  if (!canAsk()) throw new CacheError('usage', 'There is no terminal to ask on.', { hint: options.hint })
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal: options.signal })
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    lines.close()
  }
}
