/** Of the time on the wall, where this process's own work took all of it: nothing is known then but that the medium was no slower. */
const LEAST_SHARE = 1 / 50
let processors: number | undefined

/**
 * Begins to time a write. Asked when it is done, it says how many milliseconds the medium may have taken: those in which this process kept its
 * processors busy with other work are not counted, since a busy process hears late that a write is done.
 */
export function mediumTimer(): () => number {
  const start = performance.now()
  const before = process.cpuUsage()
  return () => {
    const { user, system } = process.cpuUsage(before)
    const wallMs = performance.now() - start
    processors ??= process.getBuiltinModule('node:os').availableParallelism()
    return Math.max(wallMs - (user + system) / 1000 / processors, wallMs * LEAST_SHARE)
  }
}
