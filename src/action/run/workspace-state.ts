import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaultCacheDir } from '../../store/local/cache-dir.ts'
import { type LocalStore, openLocalStore } from '../../store/local/local-store.ts'
import type { Engine } from './run-action-active.ts'

/** Where a run writes down what it does to a workspace, and moves what is in its way. */
export interface WorkspaceState extends AsyncDisposable, Pick<Engine, 'records' | 'leases' | 'trashDir' | 'tmpDir'> {}

/**
 * The state of this machine's workspaces for when the cache folder cannot be written: results come from there, and what is
 * restored of them has to be written down all the same. In the folder where the cache would be if nobody said otherwise,
 * else in a temporary one. Undefined when none of them can be written.
 */
export async function openWorkspaceState(cacheDir: string): Promise<WorkspaceState | undefined> {
  const usual = defaultCacheDir({ ...process.env, RECUE_CACHE_DIR: undefined }, process.platform)
  const temporary = join(tmpdir(), `recue-${process.getuid?.() ?? 'state'}`)
  for (const dir of [usual, temporary]) {
    const store = dir === cacheDir ? undefined : await openIfWritable(dir)
    if (store === undefined) continue
    const { records, leases } = store
    return {
      ...{ records, leases, trashDir: join(dir, 'trash'), tmpDir: join(dir, 'tmp') },
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    }
  }
  return undefined
}

async function openIfWritable(dir: string): Promise<LocalStore | undefined> {
  try {
    return await openLocalStore({ dir })
  } catch {
    return undefined
  }
}
