import { dirname, resolve } from 'node:path'
import type { Values } from '../options.ts'
import { configLayer, type Layer } from '../settings.ts'
import type { SERVE_OPTIONS } from './serve-options.ts'

export type ServeValues = Values<typeof SERVE_OPTIONS>

/** What flags and variables said, and else the file that `--config` names; the layer is what that says of the store. */
export interface Settled {
  readonly values: ServeValues
  readonly said: readonly Layer[]
}

const FILES = ['tokens', 'tlsCert', 'tlsKey', 'tlsClientCa', 'cacheDir'] as const

/** Throws `config.invalid` with line and column. Files that the file names are relative to it. */
export async function settled(values: ServeValues, cwd: string): Promise<Settled> {
  const name = values.config
  if (name === undefined) return { values, said: [] }
  const { readJsonConfig } = await import('../config/read-json.ts')
  const file = resolve(cwd, name)
  const document: Record<string, unknown> = { ...readJsonConfig({ file, name, kind: 'serve', under: undefined }) }
  for (const key of FILES) if (typeof document[key] === 'string') document[key] = resolve(dirname(file), document[key])
  const given = Object.fromEntries(
    Object.entries(values).filter(([key, value]) => value !== undefined && !(value === false && key in document)),
  )
  return { values: { ...document, ...given } as ServeValues, said: [configLayer('user', name, document)] }
}
