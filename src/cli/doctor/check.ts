import type { CommandContext, Session } from '../command.ts'

/** What a check found: one line of what is so, and where that is not well, what to do. */
export interface Finding {
  readonly status: 'ok' | 'warn' | 'fail'
  readonly what: string
  readonly hint?: string
}

export type NamedFinding = Finding & { readonly name: string }

export interface Check {
  /** One or two words. */
  readonly name: string
  find(subject: Subject): Promise<Finding> | Finding
}

/** What is looked at. */
export interface Subject {
  /** The cache folder, absolute. */
  readonly dir: string
  /** Undefined where there is no cache yet, or it cannot be opened. */
  readonly session: Session | undefined
  readonly environment: CommandContext['environment']
  readonly nowMs: number
  readonly signal: AbortSignal
}

export function ok(what: string): Finding {
  return { status: 'ok', what }
}

export function warn(what: string, hint: string): Finding {
  return { status: 'warn', what, hint }
}

export function fail(what: string, hint: string): Finding {
  return { status: 'fail', what, hint }
}
