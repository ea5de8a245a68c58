import { expect, test } from 'vitest'
import { CacheError, type ErrorCode } from '../../errors.ts'
import { tellGuard } from '../../store/guarded/guard-events.ts'
import { FaultLines } from './fault-lines.ts'

function said() {
  const clock = { ms: 1_000_000 }
  const lines: string[] = []
  const faults = new FaultLines(
    (line) => lines.push(line),
    () => clock.ms,
  )
  const tell = (code: ErrorCode, context: Record<string, string | boolean> = {}) =>
    faults.tell({ protocol: 'cas', error: new CacheError(code, `it is ${code}`, { context }) })
  return { clock, lines, faults, tell, [Symbol.dispose]: () => faults[Symbol.dispose]() }
}

test('what is shared and away is said once a minute, with how many met it, for each kind and place', () => {
  using log = said()
  for (let i = 0; i < 5; i++) log.tell('remote.unreachable', { server: 's3://one' })
  log.tell('remote.timed-out', { server: 's3://one' })
  log.tell('remote.unreachable', { server: 'redis://two' })
  expect(log.lines).toEqual([
    'recue: cas: it is remote.unreachable',
    'recue: cas: it is remote.timed-out',
    'recue: cas: it is remote.unreachable',
  ])
  log.clock.ms += 59_999
  log.tell('remote.unreachable', { server: 's3://one' })
  expect(log.lines).toHaveLength(3)
  log.clock.ms += 1
  log.tell('remote.unreachable', { server: 's3://one' })
  log.tell('remote.unreachable', { server: 'redis://two' })
  expect(log.lines.slice(3)).toEqual([
    'recue: cas: it is remote.unreachable (and 5 more like it)',
    'recue: cas: it is remote.unreachable',
  ])
})

test('a store that is full is said likewise, faults of this machine each time', () => {
  using log = said()
  for (let i = 0; i < 3; i++) log.tell('store.full')
  expect(log.lines).toHaveLength(1)
  for (let i = 0; i < 3; i++) log.tell('store.read-only', { server: 'redis://one' })
  expect(log.lines.splice(1)).toHaveLength(1)
  for (let i = 0; i < 3; i++) log.tell('store.corrupt')
  log.faults.tell({ protocol: 'nx', error: new Error('odd') })
  expect(log.lines.slice(1)).toEqual([...Array(3).fill('recue: cas: it is store.corrupt'), 'recue: nx: odd'])
})

test('of storage that is left alone nothing more is said, and that it is back once, after which faults are news', () => {
  const log = said()
  log.tell('remote.unreachable', { server: 's3://one' })
  log.tell('remote.unreachable', { server: 's3://one', isOpen: true })
  expect(log.lines).toHaveLength(1)
  tellGuard({ kind: 'opened', place: 's3://one', error: undefined, forMs: 1 })
  tellGuard({ kind: 'closed', place: 's3://one' })
  expect(log.lines.slice(1)).toEqual(['recue: s3://one answers again'])
  log.tell('remote.unreachable', { server: 's3://one' })
  expect(log.lines).toHaveLength(3)
  log[Symbol.dispose]()
  tellGuard({ kind: 'closed', place: 's3://one' })
  expect(log.lines).toHaveLength(3)
})
