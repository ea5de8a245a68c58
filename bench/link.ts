import { execFileSync, spawnSync } from 'node:child_process'
import { startFaultProxy } from '../test/fixtures/fault-proxy-process.ts'
import { installed } from './installed.ts'

/** A line to servers of this machine that is as long as one to elsewhere. */
export interface Link extends AsyncDisposable {
  /** How it is made, for the table. */
  readonly kind: string
  /** What to put before the commands of servers and of those who ask them. */
  readonly within: readonly string[]
  /** The port of this machine at which a server's is reached over the line. */
  reach(port: number): Promise<number>
}

/** As few ms there and back as said. By the system where it can be; else by a proxy, each of whose connections begins as TCP's do. */
export async function openLink(rttMs: number): Promise<Link> {
  return isNetemThere() ? netemLink(rttMs) : proxyLink(rttMs)
}

const IP = 'ip'
/** Packets on their way at once: those of 100 MB/s and more over some hundred milliseconds. */
const MOST_PACKETS = 200_000
/** As on Ethernet: with the 64 KiB of a loopback a connection would begin with forty times as much as it does elsewhere. */
const MTU_BYTES = 1500

function isNetemThere(): boolean {
  if (![IP, 'tc', 'sysctl'].every(installed)) return false
  const name = `recue-probe-${process.pid}`
  if (spawnSync(IP, ['netns', 'add', name]).status !== 0) return false
  const shaped = spawnSync(IP, ['netns', 'exec', name, 'tc', ...delayed(1)])
  execFileSync(IP, ['netns', 'delete', name])
  return shaped.status === 0
}

/** A network that only programs see which are started within it. */
function netemLink(rttMs: number): Link {
  const name = `recue-link-${process.pid}`
  execFileSync(IP, ['netns', 'add', name])
  const gone = () => void execFileSync(IP, ['netns', 'delete', name])
  const run = (...argv: readonly string[]) => execFileSync(IP, ['netns', 'exec', name, ...argv], { stdio: 'pipe' })
  try {
    run('ip', 'link', 'set', 'lo', 'mtu', String(MTU_BYTES), 'up')
    // A new connection knows nothing of what the one before found out.
    run('sysctl', '-qw', 'net.ipv4.tcp_no_metrics_save=1')
    run('tc', ...delayed(rttMs / 2))
  } catch (error) {
    gone()
    throw error
  }
  return {
    kind: 'netem',
    within: ['ip', 'netns', 'exec', name],
    reach: async (port) => port,
    [Symbol.asyncDispose]: async () => gone(),
  }
}

function delayed(ms: number): string[] {
  return ['qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'delay', `${ms}ms`, 'limit', String(MOST_PACKETS)]
}

function proxyLink(rttMs: number): Link {
  const proxies = new AsyncDisposableStack()
  const faults = { upMs: rttMs / 2, downMs: rttMs / 2, hasSlowStart: true }
  return {
    kind: 'a delaying proxy, as netem is not in this kernel',
    within: [],
    reach: async (port) => proxies.use(await startFaultProxy({ to: { host: '127.0.0.1', port }, faults })).port,
    [Symbol.asyncDispose]: () => proxies.disposeAsync(),
  }
}
