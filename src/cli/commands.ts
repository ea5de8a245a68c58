import type { Command } from './command.ts'

/** Every command, in the order of `recue --help`. A file each, loaded when it is called. */
export const COMMANDS: Readonly<Record<string, () => Promise<{ readonly command: Command }>>> = {
  run: () => import('./commands/run.ts'),
  why: () => import('./commands/why.ts'),
  key: () => import('./commands/key.ts'),
  show: () => import('./commands/show.ts'),
  ls: () => import('./commands/ls.ts'),
  stats: () => import('./commands/stats.ts'),
  du: () => import('./commands/du.ts'),
  gc: () => import('./commands/gc.ts'),
  clear: () => import('./commands/clear.ts'),
  config: () => import('./commands/config.ts'),
  doctor: () => import('./commands/doctor.ts'),
  demo: () => import('./commands/demo.ts'),
}
