import type { TestContext } from 'vitest'

/** Skips a test for what only some machines have: the reason gets a line of its own, the test its place in the sum. */
export function skipIf(reason: string | false | undefined, { skip, task }: Pick<TestContext, 'skip' | 'task'>): void {
  if (!reason) return
  console.log(`skipped: ${reason} (${task.name})`)
  skip(reason)
}
