import type { AccessEntry, Fault } from '../../server/watcher.ts'
import { oneLine } from '../table.ts'

/** A line of the access log, without its end: for programs, or for people. */
export function accessLine(entry: AccessEntry, { json }: { readonly json: boolean }): string {
  const time = new Date().toISOString()
  if (json) return JSON.stringify({ time, ...entry })
  const { protocol, method, path, status, receivedBytes, sentBytes, durationMs } = entry
  const bytes = `${receivedBytes} in, ${sentBytes} out`
  return oneLine(`${time} ${status} ${method} ${path} ${protocol || '-'} ${bytes} ${durationMs.toFixed(1)} ms`)
}

/** What is said on standard error of a fault that its client took for a miss. */
export function faultLine({ protocol, error }: Fault): string {
  const { message, hint } = error as { message?: string; hint?: string }
  return oneLine(`recue: ${protocol}: ${message ?? String(error)}${hint === undefined ? '' : ` ${hint}`}`)
}
