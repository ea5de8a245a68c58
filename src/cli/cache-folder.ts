import { resolve } from 'node:path'
import { defaultCacheDir } from '../store/local/cache-dir.ts'
import type { CommandContext } from './command.ts'
import { configureWithoutCache } from './session.ts'

/**
 * The cache folder that is configured here, absolute, without opening it: it may be damaged, not ours, or not there. For
 * what a flag or variable says it is resolved from the working directory, for what a config says from the root.
 */
export async function cacheFolderOf(
  context: Pick<CommandContext, 'options' | 'given' | 'cwd' | 'environment'>,
): Promise<string> {
  const { options, cwd, environment } = context
  if (options.cacheDir !== undefined) return resolve(cwd, options.cacheDir)
  // A config that is code may name the folder, and another folder must not be taken for it.
  const { settings, place } = await configureWithoutCache({ ...context, evaluate: true })
  if (settings.cacheDir !== undefined) return resolve(place.root, settings.cacheDir)
  return resolve(defaultCacheDir(environment, process.platform))
}
