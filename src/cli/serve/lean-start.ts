import { selfCommand } from '../self-command.ts'

/**
 * What runtimes and the C library ask about memory as they start, and never again. What the user has set of it stays.
 *
 * - Bun's engine waits with collecting garbage until there is as much of it as of what is in use, unless that is much of the machine's
 *   memory: it is told of a small machine. Measured with 200 busy clients, half the memory, for a tenth more processor time.
 * - Node frees what came from sockets once the space for young objects is full. An upload makes few objects and many buffers: with
 *   the usual space, one of 2 GiB takes 100 MB, with this one half of it.
 * - glibc keeps an arena for each of a few threads, and what was freed of middle sizes; that is blobs on their way.
 */
const SETTINGS = {
  BUN_JSC_forceRAMSize: String(256 << 20),
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: String(256 << 10),
}
const NODE_SETTING = '--max-semi-space-size=4'
/** Set for the process that has them. */
const LEAN_VARIABLE = 'RECUE_SERVE_LEAN'

/** Starts this process anew, the same to whoever started it, where it was not started so yet. Does not come back then. */
export function startLean(): void {
  // A process with a channel to its parent would lose it.
  if (process.env[LEAN_VARIABLE] === '1' || process.send !== undefined || process.execve === undefined) return
  const [program, ...own] = selfCommand()
  try {
    process.execve(program, [program, ...own, ...process.argv.slice(2)], {
      ...SETTINGS,
      ...process.env,
      // Of two that say the same the later one counts, which is the user's.
      ...(process.versions.bun === undefined && {
        NODE_OPTIONS: [NODE_SETTING, process.env.NODE_OPTIONS ?? ''].join(' '),
      }),
      [LEAN_VARIABLE]: '1',
    })
  } catch {
    // It serves all the same, with more memory.
  }
}
