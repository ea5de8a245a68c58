import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { sha256Hex } from '../../digest/sha256.ts'
import { systemCode } from '../../errors.ts'
import type { Layout } from './layout.ts'

/**
 * Pins: a small file each in `pins/`, named after the action, with the time until which it holds, or nothing for ever.
 * Files of their own, since they are a person's wish: a lost index must not lose them, nor a rebuild bring them back.
 */
export type Pins = ReadonlyMap<string, number>

/** Until when, in Unix milliseconds, by {@link pinName}; infinite for ever. Pins whose time is over are not among them. */
export function pinsAt(layout: Layout, nowMs: number): Pins {
  const pins = new Map<string, number>()
  for (const name of namesIn(layout)) {
    const untilMs = pinnedUntil(layout, name)
    if (untilMs !== undefined && untilMs > nowMs) pins.set(name, untilMs)
  }
  return pins
}

/** What the pin of an action is called: its hash, and a hash of the instance unless that is the default one. */
export function pinName(instance: string, hash: string): string {
  return instance === '' ? hash : `${hash}-${sha256Hex(Buffer.from(instance)).slice(0, 32)}`
}

export function isPinned(layout: Layout, name: string, nowMs: number): boolean {
  const untilMs = pinnedUntil(layout, name)
  return untilMs !== undefined && untilMs > nowMs
}

/** Atomic; a pin that is there is replaced. */
export function putPin(layout: Layout, name: string, untilMs: number): void {
  for (const folder of [pinsFolder(layout), layout.tmp]) mkdirSync(folder, { recursive: true, mode: 0o700 })
  const staged = `${layout.tmp}/stream-pin-${process.pid}-${name}`
  writeFileSync(staged, Number.isFinite(untilMs) ? `${Math.floor(untilMs)}\n` : '', { mode: 0o600 })
  renameSync(staged, `${pinsFolder(layout)}/${name}`)
}

/** True when there was one. */
export function removePin(layout: Layout, name: string): boolean {
  const wasThere = pinnedUntil(layout, name) !== undefined
  rmSync(`${pinsFolder(layout)}/${name}`, { force: true })
  return wasThere
}

/** Takes away the files of pins whose time is over. */
export function sweepPins(layout: Layout, nowMs: number): void {
  for (const name of namesIn(layout)) if (!isPinned(layout, name, nowMs)) removePin(layout, name)
}

function pinsFolder(layout: Layout): string {
  return `${layout.dir}/pins`
}

function namesIn(layout: Layout): string[] {
  try {
    return readdirSync(pinsFolder(layout)).filter((name) => /^[0-9a-f]{64}(-[0-9a-f]{32})?$/.test(name))
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}

/** What cannot be understood holds for ever: a pin that is one too many harms less than one that is missing. */
function pinnedUntil(layout: Layout, name: string): number | undefined {
  try {
    const text = readFileSync(`${pinsFolder(layout)}/${name}`, 'utf8').trim()
    return /^\d+$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}
