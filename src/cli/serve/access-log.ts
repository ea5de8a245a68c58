import type { AccessEntry, Fault } from '../../server/watcher.ts'
import { oneLine } from '../table.ts'

/** A line of the access log, without its end: for programs, or for people. */
export function accessLine(entry: AccessEntry, { json }: { readonly json: boolean }): string {
  const time = new Date().toISOString()
  if (json) return JSON.stringify({ time, ...entry })
  const { protocol, method, path, status, receivedBytes, sentBytes, durationMs, by } = entry
  const bytes = `${receivedBytes} in, ${sentBytes} out`
  const said = by === undefined ? '' : ` ${[by.tool, by.task, by.target].filter((part) => part !== '').join(' ')}`
  return oneLine(`${time} ${status} ${method} ${path} ${protocol || '-'} ${bytes} ${durationMs.toFixed(1)} ms${said}`)
}

/** What is said on standard error of a fault that its client took for a miss. */
export function faultLine({ protocol, error }: Fault): string {
  const { message, hint } = error as { message?: string; hint?: string }
  return oneLine(`recue: ${protocol}: ${message ?? String(error)}${hint === undefined ? '' : ` ${hint}`}`)
}
