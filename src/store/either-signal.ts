/** Aborted with whichever is aborted first: one of our own, and the caller's, where there is one. */
export function eitherSignal(own: AbortSignal, callers: AbortSignal | undefined): AbortSignal {
  return callers === undefined ? own : AbortSignal.any([own, callers])
}
