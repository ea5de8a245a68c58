import type { ResultEntry } from './result-tree.ts'

/** The files and links of two results that are not alike, sorted by path; a folder counts where nothing is in it. */
export function outputDifferences(before: readonly ResultEntry[], after: readonly ResultEntry[]): string[] {
  const [was, is] = [describedBy(before), describedBy(after)]
  return [...new Set([...was.keys(), ...is.keys()])].filter((path) => was.get(path) !== is.get(path)).sort()
}

function describedBy(entries: readonly ResultEntry[]): Map<string, string> {
  const described = new Map<string, string>()
  entries.forEach((entry, at) => {
    if (entry.kind !== 'directory') described.set(entry.path, describe(entry))
    else if (!entries[at + 1]?.path.startsWith(`${entry.path}/`)) described.set(entry.path, 'directory')
  })
  return described
}

function describe(entry: Exclude<ResultEntry, { kind: 'directory' }>): string {
  if (entry.kind === 'link') return `link ${entry.target}`
  return `${entry.isExecutable ? 'executable' : 'file'} ${entry.digest.hash}`
}
