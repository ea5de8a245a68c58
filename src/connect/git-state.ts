import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'

/** What git makes of a file: `none`, where no repository holds its folder. */
export type GitState = 'tracked' | 'ignored' | 'untracked' | 'none'

/** Of a file that need not be there. Without git installed: `none`. */
export function gitState(file: string): GitState {
  const git = (...words: string[]) =>
    spawnSync('git', words, { cwd: nearestFolder(file), stdio: ['ignore', 'pipe', 'ignore'] })
  if (git('rev-parse', '--is-inside-work-tree').stdout?.toString().trim() !== 'true') return 'none'
  if (git('ls-files', '--error-unmatch', '--', file).status === 0) return 'tracked'
  return git('check-ignore', '-q', '--', file).status === 0 ? 'ignored' : 'untracked'
}

function nearestFolder(file: string): string {
  const folder = dirname(file)
  return existsSync(folder) || folder === file ? folder : nearestFolder(folder)
}
