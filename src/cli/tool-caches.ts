/** Folders in which tools keep caches of their own, as their end of a path. */
const TOOL_CACHES: readonly string[] = [
  '.next/cache',
  '.nuxt/cache',
  'node_modules/.cache',
  'node_modules/.vite',
  '.parcel-cache',
  '.turbo',
  '.nx/cache',
  '.angular/cache',
  '.svelte-kit/.cache',
  '.gradle',
  '.mypy_cache',
  '.pytest_cache',
  '.ruff_cache',
  '__pycache__',
]

/** A tool's cache that became part of a result, where it makes results large and is never what was asked for. */
export interface SweptCache {
  /** Relative to the root, up to the cache's own folder. */
  readonly path: string
  readonly contentBytes: number
}

/** The largest one among the outputs of a result, if there is one. */
export function sweptCache(
  files: readonly { readonly path: string; readonly sizeBytes: number }[],
): SweptCache | undefined {
  const bytes = new Map<string, number>()
  for (const { path, sizeBytes } of files) {
    const folder = cacheFolderIn(path)
    if (folder !== undefined) bytes.set(folder, (bytes.get(folder) ?? 0) + sizeBytes)
  }
  const [largest] = [...bytes].sort(([, a], [, b]) => b - a)
  return largest && { path: largest[0], contentBytes: largest[1] }
}

function cacheFolderIn(path: string): string | undefined {
  for (const name of TOOL_CACHES) {
    const at = `/${path}`.indexOf(`/${name}/`)
    if (at >= 0) return path.slice(0, at + name.length)
  }
  return undefined
}
