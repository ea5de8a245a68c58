/** What a check found: a line, and where something is wrong another that says what to do. */
export interface Finding {
  readonly name: string
  readonly status: 'ok' | 'warn' | 'fail' | 'skip'
  readonly what: string
  readonly hint?: string
}
