import { lstatSync, readFileSync, statSync } from 'node:fs'
import { realOf } from './output-places.ts'

/** Which folders can be renamed into each other, and where other file systems begin. */
export interface Mounts {
  /** Something is mounted at this path or below it. */
  mountedWithin(absolute: string): string | undefined
  /** A rename from one to the other can work. The first must exist, of the second its nearest parent counts. */
  share(folder: string, path: string): boolean
}

/**
 * As the kernel says it where it does (Linux), since a bind mount has the device number of what it shows; by device
 * numbers elsewhere. Read at each call: mounts come and go.
 */
export function readMounts(): Mounts {
  const points = mountPoints()
  return {
    mountedWithin: (absolute) => points?.find((point) => point === absolute || point.startsWith(`${absolute}/`)),
    share(folder, path) {
      const a = realOf(folder)
      const b = realOf(path)
      if (deviceOf(a) !== deviceOf(b)) return false
      return points === undefined || mountOf(points, a) === mountOf(points, b)
    },
  }
}

function mountPoints(): readonly string[] | undefined {
  try {
    const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
    return lines.flatMap((line) => {
      const point = line.split(' ')[4]
      // The kernel writes blanks, newlines and backslashes as octal numbers.
      return point === undefined ? [] : [point.replace(/\\([0-7]{3})/g, (_, octal) => byte(octal))]
    })
  } catch {
    return undefined
  }
}

function byte(octal: string): string {
  return String.fromCharCode(Number.parseInt(octal, 8))
}

function mountOf(points: readonly string[], path: string): string {
  let longest = ''
  for (const point of points) {
    if (point.length > longest.length && (path === point || path.startsWith(point === '/' ? '/' : `${point}/`))) {
      longest = point
    }
  }
  return longest
}

function deviceOf(path: string): number | undefined {
  for (let at = path; ; at = at.slice(0, at.lastIndexOf('/'))) {
    if (at === '' || /^[A-Za-z]:$/.test(at)) return statSync(`${at}/`, { throwIfNoEntry: false })?.dev
    const stats = lstatSync(at, { throwIfNoEntry: false })
    if (stats !== undefined) return stats.dev
  }
}
