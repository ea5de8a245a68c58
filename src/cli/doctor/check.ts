import type { CommandContext, Session } from '../command.ts'
import type { Layer } from '../settings.ts'

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
  /** Who said what of settings, strongest first. */
  readonly layers: readonly Layer[]
  readonly cwd: string
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
