import { readSync, writeSync } from 'node:fs'
import { stat } from 'node:fs/promises'

/** Says that it is here and waits until it is let through; before that the thread pool has its thread. */
export async function gate(): Promise<void> {
  await stat('.')
  writeSync(1, 'gate\n')
  readSync(0, new Uint8Array(1))
}
