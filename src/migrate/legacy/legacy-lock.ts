import { closeSync, openSync, rmSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { CacheError, systemCode } from '../../errors.ts'
import { ensureFolder } from './legacy-atomic-file.ts'

export interface LegacyLockOptions {
  /** 30 s in the old tool. */
  readonly timeoutMs?: number
  /** Told before each wait how long it will be, in milliseconds. */
  readonly onWait?: (ms: number) => void
  readonly signal?: AbortSignal
}

const FIRST_WAIT_MS = 10
const LONGEST_WAIT_MS = 1000
const JITTER = 0.25
const TIMEOUT_MS = 30_000

/** The lock of a key, the same for readers and writers, by an empty file that exists only while it is held. */
export async function holdLegacyLock(
  folder: string,
  key: string,
  { timeoutMs = TIMEOUT_MS, onWait, signal }: LegacyLockOptions = {},
): Promise<Disposable> {
  ensureFolder(folder)
  const file = path.join(folder, `${key}.lock`)
  const limit = performance.now() + timeoutMs
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    const descriptor = tryCreate(file)
    if (descriptor !== undefined) return { [Symbol.dispose]: () => release(file, descriptor) }
    if (performance.now() >= limit)
      throw new CacheError('store.busy', `The lock ${file} was held for ${timeoutMs / 1000} s.`, {
        hint: 'If no cuenv and no recue is running, remove the file.',
      })
    const jittered = waitMs * (1 + Math.random() * JITTER)
    onWait?.(jittered)
    await pause(jittered, undefined, signal === undefined ? {} : { signal })
  }
}

function tryCreate(file: string): number | undefined {
  try {
    return openSync(file, 'wx', 0o600)
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return undefined
    throw error
  }
}

/** The old order: first the name goes, then the lock. */
function release(file: string, descriptor: number): void {
  rmSync(file, { force: true })
  closeSync(descriptor)
}
