import { closeSync, constants, mkdtempSync, openSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OutputStreams } from './child-output.ts'
import { readPipe } from './pipe-reader.ts'

/** The two pipes of a command's output. The child's ends are closed here by disposal, once the child has its own. */
export interface OutputPipes extends Disposable {
  readonly childEnds: readonly [stdout: number, stderr: number]
  readonly streams: OutputStreams
}

/** What `spawn` calls a pipe is a socket on every Unix, and Linux alone refuses to open a socket by its path (ENXIO). */
const NEEDED = process.platform === 'linux'
const NAMES = ['stdout', 'stderr'] as const

/**
 * Pipes that a command can open again as `/dev/stdout` and `/dev/stderr`. Undefined where they are not needed, and where
 * they cannot be had: no `mkfifo`, no temporary folder, no file handles left.
 */
export async function openPipes(): Promise<OutputPipes | undefined> {
  if (!NEEDED) return undefined
  let folder: string | undefined
  try {
    folder = mkdtempSync(join(tmpdir(), 'recue-pipes-'))
    const paths = [join(folder, NAMES[0]), join(folder, NAMES[1])] as const
    return (await makeFifos(paths)) ? pipesAt(paths) : undefined
  } catch {
    return undefined
  } finally {
    // From here on they have no name, like any pipe, and go with the last process that holds them.
    if (folder !== undefined) removeFolder(folder)
  }
}

/** What is in it is known: to look for it would take a file handle, of which there may be none. */
function removeFolder(folder: string): void {
  try {
    for (const name of NAMES) rmSync(join(folder, name), { force: true })
    rmdirSync(folder)
  } catch {
    // It is in the system's folder for what may be left.
  }
}

/** Neither runtime has pipe(2) or mkfifo(3). The system's own program, whatever the project has put on the PATH. */
function makeFifos(paths: readonly string[]): Promise<boolean> {
  const { spawn } = process.getBuiltinModule('node:child_process')
  const env = { PATH: `/usr/bin:/bin:${process.env.PATH ?? ''}` }
  return new Promise((resolve) => {
    const mkfifo = spawn('mkfifo', ['-m', '600', ...paths], { stdio: 'ignore', env })
    mkfifo.once('error', () => resolve(false)).once('exit', (code) => resolve(code === 0))
  })
}

function pipesAt(paths: readonly [string, string]): OutputPipes {
  const open: number[] = []
  const opened = (path: string, flags: number) => {
    const end = openSync(path, flags)
    open.push(end)
    return end
  }
  try {
    // The readers first, and without waiting: each end's opening waits for the other.
    const ours = paths.map((path) => opened(path, constants.O_RDONLY | constants.O_NONBLOCK)) as [number, number]
    const childEnds = paths.map((path) => opened(path, constants.O_WRONLY)) as [number, number]
    return {
      childEnds,
      streams: { stdout: readPipe(ours[0]), stderr: readPipe(ours[1]) },
      [Symbol.dispose]: () => {
        for (const end of childEnds) closeSync(end)
      },
    }
  } catch (error) {
    for (const end of open) closeSync(end)
    throw error
  }
}
