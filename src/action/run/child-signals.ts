import { closeSync, openSync } from 'node:fs'

type Pass = (name: NodeJS.Signals) => void

export interface HeardSignals extends Disposable {
  /** Where signals go from now on; those that came before are passed on at once. */
  passTo(pass: Pass): void
  heard(): boolean
}

const NAMES = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Keeps this process alive when it is told to end, so that it can wait for its child, and passes the signal on where the
 * child has not got it anyway: the terminal's Ctrl-C goes to the whole process group. A second one is passed on always.
 */
export function hearSignals(): HeardSignals {
  const early: NodeJS.Signals[] = []
  const times = new Map<NodeJS.Signals, number>()
  let pass: Pass = (name) => early.push(name)
  const hear = (name: NodeJS.Signals) => {
    const before = times.get(name) ?? 0
    times.set(name, before + 1)
    if (name !== 'SIGINT' || before > 0 || !hasTerminal()) pass(name)
  }
  for (const name of NAMES) process.on(name, hear)
  return {
    passTo(to) {
      pass = to
      for (const name of early.splice(0)) to(name)
    },
    heard: () => times.size > 0,
    [Symbol.dispose]() {
      for (const name of NAMES) process.off(name, hear)
    },
  }
}

function hasTerminal(): boolean {
  if (process.platform === 'win32') return true
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}
