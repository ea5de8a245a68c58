import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/**
 * Order files for `bun build --bytecode-order`, most important first: the functions of a hit with its outputs in place, and
 * of one that restores them. They come to lie side by side, so that a hit touches fewer pages of the executable. Written
 * into `folder` by runs of `executable` there; none when it does not come to hit, without which the order is as it was.
 */
export function bytecodeOrders(executable: string, folder: string): string[] {
  const project = path.join(folder, 'project')
  mkdirSync(path.join(project, 'src'), { recursive: true })
  for (const name of ['a', 'b', 'c']) writeFileSync(path.join(project, 'src', name), name)
  writeFileSync(
    path.join(project, 'copy.mjs'),
    "import { cpSync } from 'node:fs'; cpSync('src', 'out', { recursive: true })",
  )
  const hit = (order?: string) => {
    const args = ['run', '-i', 'src', '-i', 'copy.mjs', '-o', 'out', '--', process.execPath, 'copy.mjs']
    const env = { PATH: process.env.PATH, HOME: folder, RECUE_CACHE_DIR: path.join(folder, 'cache') }
    const ended = spawnSync(executable, args, {
      cwd: project,
      env: order === undefined ? env : { ...env, BUN_BYTECODE_ORDER_OUT: order },
      encoding: 'utf8',
    })
    return ended.status === 0 && ended.stderr.includes('recue: hit')
  }
  // The second run hashes files again that are as young as their record.
  for (let round = 0; round < 3; round++) hit()
  const [inPlace, restored] = [path.join(folder, 'in-place.order'), path.join(folder, 'restored.order')]
  if (!hit(inPlace)) return []
  rmSync(path.join(project, 'out'), { recursive: true })
  return hit(restored) ? [inPlace, restored] : [inPlace]
}
