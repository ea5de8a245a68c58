/** What says which packages a command may use, and, where the package manager records it, which are installed. */
const NAMES: readonly (readonly string[])[] = [
  ['package.json'],
  ['package-lock.json'],
  ['npm-shrinkwrap.json'],
  ['pnpm-lock.yaml'],
  ['yarn.lock'],
  ['bun.lock'],
  ['bun.lockb'],
  ['node_modules/.package-lock.json'],
  // The second has when and where pnpm last cleaned up, so that no two machines would have the same.
  ['node_modules/.pnpm/lock.yaml', 'node_modules/.modules.yaml'],
  ['node_modules/.yarn-state.yml'],
]

/**
 * Root-relative paths that are inputs where they exist: of the working directory and each folder above it up to the root.
 * Of those that are listed together, the first that exists.
 */
export function implicitInputs(workingDirectory: string): string[][] {
  const paths: string[][] = []
  for (let folder = workingDirectory; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/')))) {
    for (const names of NAMES) paths.push(names.map((name) => (folder === '' ? name : `${folder}/${name}`)))
    if (folder === '') return paths
  }
}
