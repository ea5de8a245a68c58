import { execFileSync } from 'node:child_process'
import { repository } from './runtimes.ts'

/** Both shapes of the command, built from the sources as they are. */
export function setup(): void {
  execFileSync(process.execPath, ['scripts/build.ts', 'executable', 'node'], { cwd: repository, stdio: 'inherit' })
}
