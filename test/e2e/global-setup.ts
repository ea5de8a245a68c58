import { execFileSync } from 'node:child_process'
import { installNpmTools } from './clients/npm-tools.ts'
import { repository } from './runtimes.ts'

/** Both shapes of the command, built from the sources as they are, and the clients that npm has. */
export function setup(): void {
  execFileSync(process.execPath, ['scripts/build.ts', 'executable', 'node'], { cwd: repository, stdio: 'inherit' })
  installNpmTools()
}
