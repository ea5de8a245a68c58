import { resolve as resolvePath } from 'node:path'
import { findRoot } from '../action/root.ts'
import type { Witness } from '../action/witness.ts'
import type { CacheOptions } from '../cache.ts'
import type { OpenOptions, Place, Session } from './command.ts'
import { loadProject } from './config/load-project.ts'
import { loadUserConfig, userConfigFile } from './config/load-user.ts'
import type { Project } from './config/project.ts'
import { openAsItIs } from './open-as-it-is.ts'
import { ALL_OPTIONS, configLayer, type Layer, resolve, type Settings, valuesOf } from './settings.ts'

export interface SessionRequest extends OpenOptions {
  /** Flags and variables, strongest first. */
  readonly given: readonly Layer[]
  readonly cwd: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly witness?: Witness
}

/** What is configured, from all origins; with the store open, or without where it cannot be used. */
export interface Configured {
  readonly place: Place
  readonly project: Project | undefined
  /** Strongest first. */
  readonly layers: readonly Layer[]
  readonly settings: Settings
}

/**
 * Opens the cache and reads the config. The compiled copy of the config is in the cache, so the cache is opened by what
 * flag, variable and user say, and once more in the rare case that the project says otherwise.
 */
export async function openSession(request: SessionRequest): Promise<Session & Configured> {
  const before = await configuredWithoutProject(request)
  const manner = { ...(request.longLived ? {} : SHORT_LIVED), ...(request.looksOnly && { countsUses: false }) }
  const early = { ...cacheOptions(before.settings, dirBase(request, before.place)), ...manner }
  let cache = await openAsItIs(early)
  try {
    const configured = await withProject(before, request, cache.records)
    const late = { ...cacheOptions(configured.settings, dirBase(request, configured.place)), ...manner }
    if (JSON.stringify(late) !== JSON.stringify(early)) {
      await cache.close()
      cache = await openAsItIs(late)
    }
    return { ...configured, cache, [Symbol.asyncDispose]: () => cache.close() }
  } catch (error) {
    await cache.close()
    throw error
  }
}

/** A command lives too short to ask twice. */
const SHORT_LIVED = { maxMemory: 0 } as const

/** As {@link openSession}, for when there is no store to be had, or none is wanted. */
export async function configureWithoutCache(request: SessionRequest): Promise<Configured> {
  return withProject(await configuredWithoutProject(request), request, undefined)
}

async function configuredWithoutProject(request: SessionRequest): Promise<Configured> {
  const userFile = userConfigFile(request.environment)
  const { witness } = request
  const user = await loadUserConfig(userFile, witness)
  const layers = user === undefined ? request.given : [...request.given, configLayer('user', userFile, user)]
  const settings = settingsOf(layers)
  if (settings.root !== undefined) witness?.unsure()
  const place = findRoot(request.cwd, { witness, ...(settings.root !== undefined && { root: settings.root }) })
  return { place, project: undefined, layers, settings }
}

async function withProject(
  before: Configured,
  { given, cwd, evaluate = false, witness }: SessionRequest,
  records: Parameters<typeof loadProject>[1]['records'],
): Promise<Configured> {
  const { configFile } = before.place
  if (configFile === undefined) return before
  const project = await loadProject(configFile, { records, evaluate, cwd, witness })
  if (project === undefined) return before
  const layer = configLayer('project', configFile, project.document)
  if (layer.values.size === 0) return { ...before, project }
  const layers = [...given, layer, ...before.layers.slice(given.length)]
  return { ...before, project, layers, settings: settingsOf(layers) }
}

function settingsOf(layers: readonly Layer[]): Settings {
  return valuesOf(resolve(ALL_OPTIONS, layers))
}

/** A relative cache folder: from a flag or variable it starts where the person is, from a config at the root. */
function dirBase({ given, cwd }: SessionRequest, { root }: Place): string {
  return given.some(({ values }) => values.has('cacheDir')) ? cwd : root
}

function cacheOptions(settings: Settings, base: string): CacheOptions {
  const { cacheDir, maxCacheSize, maxCasSize, maxEntries, minFreeSpace, evictionPolicy } = settings
  const { casInlineThreshold, ttl, compression, chunking, hardLink, durability } = settings
  return {
    ...(cacheDir === undefined ? {} : { cacheDir: resolvePath(base, cacheDir) }),
    ...(maxCacheSize === undefined ? {} : { maxCacheSize }),
    ...(maxCasSize === undefined ? {} : { maxCasSize }),
    ...(maxEntries === undefined ? {} : { maxEntries }),
    ...(minFreeSpace === undefined ? {} : { minFreeSpace }),
    ...(evictionPolicy === undefined ? {} : { evictionPolicy: evictionPolicy as 'gdsf' | 'lfu-da' | 'lru' }),
    ...(casInlineThreshold === undefined ? {} : { casInlineThreshold }),
    ...(ttl === undefined ? {} : { ttl }),
    compression: compressionOf(compression),
    chunking: chunking === 'fastcdc' ? 'fastcdc' : 'off',
    hardLink,
    durability: durability === 'full' ? 'full' : 'fast',
  }
}

function compressionOf(text: string): 'auto' | 'off' | number {
  return text === 'auto' || text === 'off' ? text : Number(text)
}
