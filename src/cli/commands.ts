import type { Command } from './command.ts'
import { command as run } from './commands/run.ts'

/**
 * Every command, in the order of `recue --help`. A file each, loaded when it is called; but `run` is what recue is called
 * for, and starts sooner in one piece with the entry.
 */
export const COMMANDS: Readonly<Record<string, () => Promise<{ readonly command: Command }>>> = {
  run: () => Promise.resolve({ command: run }),
  why: () => import('./commands/why.ts'),
  key: () => import('./commands/key.ts'),
  show: () => import('./commands/show.ts'),
  ls: () => import('./commands/ls.ts'),
  stats: () => import('./commands/stats.ts'),
  du: () => import('./commands/du.ts'),
  gc: () => import('./commands/gc.ts'),
  pin: () => import('./commands/pin.ts'),
  unpin: () => import('./commands/unpin.ts'),
  simulate: () => import('./commands/simulate.ts'),
  export: () => import('./commands/export.ts'),
  import: () => import('./commands/import.ts'),
  push: () => import('./commands/push.ts'),
  pull: () => import('./commands/pull.ts'),
  warm: () => import('./commands/warm.ts'),
  serve: () => import('./commands/serve.ts'),
  connect: () => import('./commands/connect.ts'),
  front: () => import('./commands/front.ts'),
  gocacheprog: () => import('./commands/gocacheprog.ts'),
  'ccache-helper': () => import('./commands/ccache-helper.ts'),
  login: () => import('./commands/login.ts'),
  logout: () => import('./commands/logout.ts'),
  clear: () => import('./commands/clear.ts'),
  config: () => import('./commands/config.ts'),
  doctor: () => import('./commands/doctor.ts'),
  scrub: () => import('./commands/scrub.ts'),
  demo: () => import('./commands/demo.ts'),
}
