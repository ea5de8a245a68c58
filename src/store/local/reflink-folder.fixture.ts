import { spawnSync } from 'node:child_process'
import { constants, copyFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** An empty folder on a file system that clones files; undefined where there is none and none can be mounted. */
export function reflinkFolder(onEnd: (clean: () => void) => void): string | undefined {
  const dir = mkdtempSync(join(tmpdir(), 'recue-reflink-'))
  onEnd(() => rmSync(dir, { recursive: true, force: true }))
  if (canClone(dir)) return dir
  const image = join(dir, 'image')
  const point = join(dir, 'mounted')
  writeFileSync(image, '')
  truncateSync(image, 512 << 20)
  mkdirSync(point)
  const isMounted = ['mkfs.btrfs', 'mkfs.xfs'].some(
    (make) => succeeds(make, '-q', image) && succeeds('mount', '-o', 'loop', image, point),
  )
  if (!isMounted) return undefined
  // Before the folder goes: what is asked for last is done first.
  onEnd(() => void succeeds('umount', '-l', point))
  return canClone(point) ? point : undefined
}

function succeeds(command: string, ...args: readonly string[]): boolean {
  const path = `${process.env.PATH}:/usr/sbin:/sbin`
  return spawnSync(command, args, { stdio: 'ignore', env: { ...process.env, PATH: path } }).status === 0
}

function canClone(dir: string): boolean {
  const [from, to] = [join(dir, 'from'), join(dir, 'to')]
  try {
    writeFileSync(from, 'content')
    copyFileSync(from, to, constants.COPYFILE_FICLONE_FORCE)
    return true
  } catch {
    return false
  } finally {
    rmSync(from, { force: true })
    rmSync(to, { force: true })
  }
}
