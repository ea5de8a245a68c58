import { readFileSync } from 'node:fs'
import { freemem, totalmem } from 'node:os'
import { join } from 'node:path'

/** What the kernel says of memory, for this process's control group or, where there is none, the machine. */
export interface MemoryState {
  /** Bytes that the process and its group may have. */
  readonly limitBytes: number
  /** Bytes of it that can still be had without taking them from anybody but the page cache. */
  readonly availableBytes: number
  /** Share of the last ten seconds, 0 to 1, in which some task waited for memory (PSI `some avg10`); 0 where unknown. */
  readonly stalled: number
}

export interface MemoryFiles {
  /** Where the kernel's process information is; `/proc` unless said. */
  readonly proc?: string
  /** Where cgroup v2 is mounted; `/sys/fs/cgroup` unless said. */
  readonly cgroup?: string
}

/**
 * cgroup v2's `memory.max`, `memory.current`, `memory.stat` and `memory.pressure` of the process's own group or the
 * nearest above it with a limit (Documentation/admin-guide/cgroup-v2.rst); else the machine's figures. A few small files
 * are read: for once in a second, not for each access. Never throws.
 */
export function memoryState({ proc = '/proc', cgroup = '/sys/fs/cgroup' }: MemoryFiles = {}): MemoryState {
  const group = limitedGroup(proc, cgroup)
  const machine = {
    limitBytes: totalmem(),
    availableBytes: freemem(),
    stalled: stalledOf(join(proc, 'pressure/memory')),
  }
  if (group === undefined) return machine
  return {
    limitBytes: Math.min(group.limitBytes, machine.limitBytes),
    availableBytes: Math.min(group.availableBytes, machine.availableBytes),
    stalled: Math.max(group.stalled, machine.stalled),
  }
}

function limitedGroup(proc: string, cgroup: string): MemoryState | undefined {
  const own = /^0::(\/.*)$/m.exec(textOf(join(proc, 'self/cgroup')) ?? '')?.[1]
  if (own === undefined) return undefined
  for (let path = own; ; path = path.slice(0, Math.max(path.lastIndexOf('/'), 0))) {
    const state = stateOf(join(cgroup, path))
    if (state !== undefined) return state
    if (path === '' || path === '/') return undefined
  }
}

function stateOf(group: string): MemoryState | undefined {
  const limitBytes = Number(textOf(join(group, 'memory.max')))
  const usedBytes = Number(textOf(join(group, 'memory.current')))
  // "max" is no number: no limit at this level.
  if (!Number.isFinite(limitBytes) || !Number.isFinite(usedBytes)) return undefined
  // What the page cache holds goes as soon as somebody asks for it.
  const cachedBytes = Number(/^file (\d+)$/m.exec(textOf(join(group, 'memory.stat')) ?? '')?.[1] ?? 0)
  const availableBytes = Math.max(0, limitBytes - usedBytes + cachedBytes)
  return { limitBytes, availableBytes, stalled: stalledOf(join(group, 'memory.pressure')) }
}

/** Documentation/accounting/psi.rst: a percentage with two decimals. */
function stalledOf(file: string): number {
  return Number(/^some avg10=([\d.]+)/m.exec(textOf(file) ?? '')?.[1] ?? 0) / 100
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // Another kernel, another mount, or no right to look: there is always a coarser figure.
    return undefined
  }
}
