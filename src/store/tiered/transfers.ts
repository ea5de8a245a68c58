import type { ActionDigest } from '../../digest/digest.ts'
import type { TransferReport } from './tiered.ts'

/** What came of moving one result with all its blobs, in either direction. */
export type Moved =
  /** How many blobs had to be moved, and their content bytes. */
  | { readonly kind: 'done'; readonly blobs: number; readonly bytes: number }
  /** Where it was to come from it is not, or not whole. */
  | { readonly kind: 'gone' }
  | { readonly kind: 'failed'; readonly error: unknown }

const AT_ONCE = 4

/** Moves a selection, a few at a time. Rejects only when aborted. */
export async function moveEach(
  actions: readonly ActionDigest[],
  move: (action: ActionDigest) => Promise<Moved>,
  signal?: AbortSignal,
): Promise<TransferReport> {
  const report = { actions: 0, blobs: 0, bytes: 0, absent: [] as ActionDigest[], failed: [] as Failure[] }
  const left = actions.values()
  const takeTurns = async () => {
    for (const action of left) {
      signal?.throwIfAborted()
      const moved = await move(action)
      if (moved.kind === 'gone') report.absent.push(action)
      else if (moved.kind === 'failed') report.failed.push({ action, error: moved.error })
      else {
        report.actions++
        report.blobs += moved.blobs
        report.bytes += moved.bytes
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, takeTurns))
  return report
}

type Failure = TransferReport['failed'][number]
