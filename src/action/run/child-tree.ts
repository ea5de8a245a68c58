import { readdirSync, readFileSync } from 'node:fs'

/** A process that a later one with the same number cannot be taken for. */
interface Process {
  readonly pid: number
  readonly parent: number
  /** Whatever the platform says of when it began. */
  readonly born: string
}

const POLL_MS = 25

/**
 * Ends a process and all that it started: SIGTERM, and SIGKILL for what is left after `graceMs`. Walks the tree by
 * parent, since a process group of its own would take the terminal's Ctrl-C away from the command. Whoever has left the
 * tree (a daemon) is left alone.
 */
export async function endTree(root: number, graceMs: number): Promise<void> {
  if (process.platform === 'win32') return endTreeOnWindows(root)
  const first = treeOf(root)
  for (const { pid } of first) send(pid, 'SIGTERM')
  const deadline = performance.now() + graceMs
  let left = first
  while (left.length > 0 && performance.now() < deadline) {
    await new Promise((wake) => setTimeout(wake, POLL_MS))
    left = living(first)
  }
  const late = new Map(left.flatMap(({ pid }) => treeOf(pid)).map((one) => [one.pid, one]))
  for (const { pid } of late.values()) send(pid, 'SIGKILL')
}

/** Whether process `pid` is the one that this process was started by, or by one that was started by it, and so on. */
export function startedThis(pid: number): boolean {
  if (process.platform === 'win32') return process.ppid === pid
  const parents = new Map(processes().map((one) => [one.pid, one.parent]))
  let at: number | undefined = process.ppid
  for (let steps = 0; at !== undefined && at > 0 && steps < parents.size; steps++) {
    if (at === pid) return true
    at = parents.get(at)
  }
  return false
}

async function endTreeOnWindows(root: number): Promise<void> {
  const { spawn } = process.getBuiltinModule('node:child_process')
  await new Promise<void>((done) => {
    const kill = spawn('taskkill', ['/pid', String(root), '/T', '/F'], { stdio: 'ignore', windowsHide: true })
    kill.on('error', () => done()).on('exit', () => done())
  })
}

/** `root` and its descendants, as far as they are there. */
function treeOf(root: number): Process[] {
  const all = processes()
  const tree = all.filter(({ pid }) => pid === root)
  for (let at = 0; at < tree.length; at++) {
    const { pid } = tree[at] as Process
    tree.push(...all.filter(({ parent }) => parent === pid))
  }
  return tree
}

function living(wanted: readonly Process[]): Process[] {
  const now = new Map(processes().map((one) => [one.pid, one.born]))
  return wanted.filter(({ pid, born }) => now.get(pid) === born)
}

/** All processes but zombies, which have ended and only wait to be asked how. */
function processes(): Process[] {
  return process.platform === 'linux' ? processesOfProc() : processesOfPs()
}

function processesOfProc(): Process[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      // The name in parentheses may hold anything, spaces and parentheses too (proc_pid_stat(5)).
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      if (fields[0] === 'Z' || fields[0] === 'X') return []
      return [{ pid: Number(name), parent: Number(fields[1]), born: fields[19] ?? '' }]
    } catch {
      return []
    }
  })
}

function processesOfPs(): Process[] {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const list = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,lstart='], { encoding: 'utf8' }).stdout ?? ''
  return list.split('\n').flatMap((line) => {
    const [pid, parent, state, ...born] = line.trim().split(/\s+/)
    return state === undefined || state.startsWith('Z')
      ? []
      : [{ pid: Number(pid), parent: Number(parent), born: born.join(' ') }]
  })
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended in the meantime, or is not ours to end.
  }
}
