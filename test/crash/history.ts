/**
 * What many processes did to one store and were answered, and what the contract says of it. Times are of Node's
 * `process.hrtime`, which is one clock for all processes of a machine (Bun counts from the start of the process).
 */
export interface Operation {
  readonly process: number
  readonly kind: 'put' | 'get' | 'remove' | 'collect' | 'write' | 'read'
  /** Of the action, or of the blob; of a collection none. */
  readonly key: string
  readonly startNs: bigint
  /** Undefined: its process died first, so it may have happened or not, at any time. */
  readonly endNs?: bigint
  /**
   * put: the value that is put. get: the value of the hit. read, write: that of the blob.
   */
  readonly value?: string
  /**
   * `done`: acknowledged; what was read is whole and right. `absent`: a miss, or nothing there to be removed. `lost`: a hit
   * whose blobs could not be read. `failed`: refused, so it may have happened or not. `wrong`: other bytes.
   */
  readonly outcome?: 'done' | 'absent' | 'lost' | 'failed' | 'wrong'
}

export interface Contract {
  /** Collections take what they like of what action results name; else nothing goes but by removals. */
  readonly isEvicting: boolean
  /** For so long a reader may not know yet what other processes did. */
  readonly staleNs: bigint
}

/** What in the history no store that keeps its promises would have answered, in words; at best nothing. */
export function violations(history: readonly Operation[], contract: Contract): string[] {
  const collections = history.filter(({ kind }) => kind === 'collect')
  const found: string[] = []
  for (const [key, operations] of byKey(history)) {
    const wrong = operations.filter(({ outcome }) => outcome === 'wrong')
    for (const operation of wrong) found.push(`${told(operation)}: wrong bytes`)
    if (operations.some(({ kind }) => kind === 'write' || kind === 'read')) found.push(...ofBlob(key, operations))
    else found.push(...ofAction(operations, collections, contract))
  }
  return found
}

function byKey(history: readonly Operation[]): Map<string, Operation[]> {
  const keys = new Map<string, Operation[]>()
  for (const operation of history) {
    if (operation.kind === 'collect') continue
    const operations = keys.get(operation.key)
    if (operations === undefined) keys.set(operation.key, [operation])
    else operations.push(operation)
  }
  return keys
}

/** No action result names it, and it is younger than any grace: once it was acknowledged it stays. */
function ofBlob(key: string, operations: readonly Operation[]): string[] {
  const isAcknowledged = ({ kind, outcome }: Operation) => kind === 'write' && outcome === 'done'
  const firstNs = earliest(operations.filter(isAcknowledged).flatMap(({ endNs }) => endNs ?? []))
  const lost = operations.filter(
    ({ kind, outcome, startNs }) =>
      kind === 'read' && outcome === 'absent' && firstNs !== undefined && firstNs < startNs,
  )
  return lost.map((operation) => `${told(operation)}: blob ${key} was acknowledged and is not there`)
}

function ofAction(
  operations: readonly Operation[],
  collections: readonly Operation[],
  { isEvicting, staleNs }: Contract,
): string[] {
  const puts = operations.filter(({ kind }) => kind === 'put')
  const removals = operations.filter(({ kind, outcome }) => kind === 'remove' && outcome !== 'absent')
  const takers = isEvicting ? [...removals, ...collections] : removals
  const found: string[] = []
  for (const operation of operations) {
    const { kind, outcome, endNs } = operation
    if (endNs === undefined || outcome === 'failed') continue
    const read = { startNs: operation.startNs - staleNs, endNs }
    if (outcome === 'absent') {
      if (!mayBeAbsent(read, puts, takers)) found.push(`${told(operation)}: a put is lost`)
    } else if (kind === 'get') {
      const problem = valueProblem(operation.value, read, puts, removals)
      if (problem !== undefined) found.push(`${told(operation)}: ${problem}`)
      if (outcome === 'lost' && !takers.some((taker) => overlaps(taker, operation)))
        found.push(`${told(operation)}: a hit that is not whole`)
    }
  }
  return found
}

interface Span {
  readonly startNs: bigint
  readonly endNs?: bigint
}

/** Each put that was surely done before it has a removal, or an eviction, that may have come after. */
function mayBeAbsent(read: Span, puts: readonly Operation[], takers: readonly Operation[]): boolean {
  const before = puts.filter((put) => put.outcome === 'done' && isBefore(put, read))
  return before.every((put) => takers.some((taker) => !isBefore(taker, put) && !isBefore(read, taker)))
}

/** It is of a put that may have come before, and that nothing which surely came after replaced. */
function valueProblem(
  value: string | undefined,
  read: Span,
  puts: readonly Operation[],
  removals: readonly Operation[],
): string | undefined {
  const put = puts.find((one) => one.value === value)
  if (put === undefined || isBefore(read, put)) return 'a value that nobody had put'
  const replaced = [...puts, ...removals].find(
    (other) => other.outcome === 'done' && isBefore(put, other) && isBefore(other, read),
  )
  return replaced && `an old value: it was replaced by ${told(replaced)}`
}

/** Surely: it had ended when the other began. */
function isBefore(one: Span, other: Span): boolean {
  return one.endNs !== undefined && one.endNs < other.startNs
}

function overlaps(one: Span, other: Span): boolean {
  return !isBefore(one, other) && !isBefore(other, one)
}

function earliest(times: readonly bigint[]): bigint | undefined {
  return times.reduce<bigint | undefined>(
    (least, time) => (least === undefined || time < least ? time : least),
    undefined,
  )
}

function told({ process, kind, key, value, startNs, endNs, outcome }: Operation): string {
  return `${kind} ${key}${value === undefined ? '' : `=${value}`} (process ${process}, ${startNs}..${endNs}, ${outcome})`
}
