/** Paths named in one line; the rest is a number. */
const NAMED = 3

/** The first paths by name, the others by how many there are. */
export function listed(paths: readonly string[]): string {
  const more = paths.length - NAMED
  return paths.slice(0, NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
