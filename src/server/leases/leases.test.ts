import type { ServerHttp2Stream } from 'node:http2'
import { afterEach, expect, test } from 'vitest'
import { asActionDigest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { MessageParser } from '../../grpc/message-parser.ts'
import { HoldRequest, HoldResponse } from '../../proto/recue/v1/leases.ts'
import { DEFAULT_SCOPE } from '../../store/contracts.ts'
import { fleetLeasesContract } from '../../store/fleet-leases.contract.ts'
import { type FleetLeases, MOST_THINGS } from '../../store/fleet-leases.ts'
import { memoryFleetLeases } from '../../store/memory/memory-fleet-leases.ts'
import { begin, faultyGrpc, HASTY, PATIENT, refuse, say } from '../../store/remote/fault-servers.fixture.ts'
import { openRemote } from '../../store/remote/open-remote.ts'
import type { RemoteEnd } from '../../store/remote/remote-end.ts'
import { gateOf } from '../access.ts'
import { Called, codeOf } from '../reapi/called.fixture.ts'
import { temporaryServer } from '../temporary-server.fixture.ts'
import { leasesService } from './leases-service.ts'

const ACTION = asActionDigest(digestOf(Buffer.from('an action')))

fleetLeasesContract(async () => {
  const server = await temporaryServer()
  const [one, other] = await Promise.all([endOf(server.url), endOf(server.url)])
  return {
    ...{ one: leasesOf(one), other: leasesOf(other) },
    async [Symbol.asyncDispose]() {
      for (const opened of [one, other, server]) await opened[Symbol.asyncDispose]()
    },
  }
})

test('a hundred that wait all hear the end', async () => {
  await using server = await temporaryServer()
  await using used = new AsyncDisposableStack()
  const ends = await Promise.all(Array.from({ length: 5 }, async () => used.use(await endOf(server.url))))
  const turn = await ends[0]?.fleetLeases?.hold(DEFAULT_SCOPE, ACTION, { label: 'one' })
  let waitingNow = 0
  const all = Promise.withResolvers<void>()
  const turns = Array.from({ length: 100 }, (_, i) =>
    ends[i % 5]?.fleetLeases?.hold(DEFAULT_SCOPE, ACTION, {
      label: `other ${i}`,
      onWait: () => {
        if (++waitingNow === 100) all.resolve()
      },
    }),
  )
  await all.promise
  if (turn?.kind === 'held') await turn.lease.end(true)
  const heard = await Promise.all(turns)
  expect(heard).toEqual(Array.from({ length: 100 }, () => ({ kind: 'ended', isKept: true })))
})

test('a client that is gone holds nothing', async () => {
  await using server = await temporaryServer()
  const dying = await endOf(server.url)
  expect((await leasesOf(dying).hold(DEFAULT_SCOPE, ACTION, { label: 'dying' })).kind).toBe('held')
  await using living = await endOf(server.url)
  const told = Promise.withResolvers<string>()
  const turn = leasesOf(living).hold(DEFAULT_SCOPE, ACTION, {
    label: 'living',
    onWait: ({ label }) => told.resolve(label),
  })
  expect(await told.promise).toBe('dying')
  await dying[Symbol.asyncDispose]()
  expect((await turn).kind).toBe('held')
})

test('a server that ends sends away those who wait, and is not held up by whoever holds', async () => {
  const server = await temporaryServer()
  await using end = await endOf(server.url)
  await leasesOf(end).hold(DEFAULT_SCOPE, ACTION, { label: '' })
  const told = Promise.withResolvers<unknown>()
  const turn = leasesOf(end).hold(DEFAULT_SCOPE, ACTION, { label: '', onWait: told.resolve })
  await told.promise
  const closed = server[Symbol.asyncDispose]()
  await expect(turn).rejects.toMatchObject({ code: 'remote.unreachable' })
  await closed
})

test('it asks for a token that may write, since whoever holds a lease is to keep a result', async () => {
  const gate = gateOf('read reads-and-no-more\nwrite writes-and-reads', 'tokens')
  await using server = await temporaryServer({ gate })
  await using reader = await endOf(server.url, 'reads-and-no-more')
  await expect(leasesOf(reader).hold(DEFAULT_SCOPE, ACTION, { label: '' })).rejects.toMatchObject({
    code: 'remote.denied',
  })
  expect(await leasesOf(reader).usual(DEFAULT_SCOPE, ['a thing'])).toEqual([undefined])
  await using writer = await endOf(server.url, 'writes-and-reads')
  expect((await leasesOf(writer).hold(DEFAULT_SCOPE, ACTION, { label: '' })).kind).toBe('held')
})

test('of a server that has none the first call says so', async () => {
  await using server = await faultyGrpc({ Hold: (stream) => refuse(stream, 12) })
  await using end = await openRemote(server.address, HASTY)
  await expect(leasesOf(end).hold(DEFAULT_SCOPE, ACTION, { label: '' })).rejects.toMatchObject({
    code: 'remote.incompatible',
  })
})

test('a holder says that it lives until it says that the work has ended', async () => {
  const heard: (string | undefined)[] = []
  const lives = Promise.withResolvers<void>()
  const hold = (stream: ServerHttp2Stream) => {
    begin(stream)
    say(stream, HoldResponse.encode({ said: { $case: 'held', held: { aliveMs: 0 } } }).finish())
    const parser = new MessageParser(1000, ({ bytes }) => {
      heard.push(HoldRequest.decode(bytes).said?.$case)
      if (heard.length === 3) lives.resolve()
    })
    stream.on('data', (chunk: Buffer) => parser.push(chunk)).once('end', () => stream.end())
  }
  await using server = await faultyGrpc({ Hold: hold })
  await using end = await openRemote(server.address, PATIENT)
  const turn = await leasesOf(end).hold(DEFAULT_SCOPE, ACTION, { label: '' })
  await lives.promise
  if (turn.kind === 'held') await turn.lease.end(true)
  expect([...new Set(heard)]).toEqual(['ask', 'alive', 'end'])
  expect(heard.at(-1)).toBe('end')
})

/** Clients that never come to an end of their own. */
const parked = new Set<() => void>()
afterEach(() => {
  for (const release of parked) release()
  parked.clear()
})

test('a holder that falls silent loses the lease; one that says that it lives keeps it', async () => {
  const called = new Called(leasesService(memoryFleetLeases(), 20).methods)
  const silent = called.stream<HoldResponse>('/Hold', says(ASK))
  expect((await silent.next()).value?.said?.$case).toBe('held')
  const alive = called.stream<HoldResponse>('/Hold', lives(ASK))
  // Silence is noticed while somebody reads on.
  void silent.next()
  const heard: string[] = []
  for (let next = await alive.next(); !next.done; next = await alive.next()) {
    heard.push(next.value.said?.$case ?? '')
    if (heard.at(-1) === 'held') break
  }
  expect(heard[0]).toBe('waiting')
  const third = called.stream<HoldResponse>('/Hold', says(ASK))
  void alive.next()
  for (let words = 0; words < 5; words++) expect((await third.next()).value?.said?.$case).toBe('waiting')
})

test.each([
  ['nothing', says()],
  ['something else first', says({ said: { $case: 'alive', alive: {} } })],
  ['no digest', says({ said: { $case: 'ask', ask: { ...askOf(), actionDigest: undefined } } })],
  ['a reserved instance', says({ said: { $case: 'ask', ask: { ...askOf(), instanceName: 'blobs' } } })],
])('%s is refused', async (_, requests) => {
  const called = new Called(leasesService(memoryFleetLeases()).methods)
  expect(await codeOf(called.all('/Hold', requests))).toBe(3)
})

test('a name that is too long is forgotten, and so is one that says nothing; too many at once are refused', async () => {
  await using server = await temporaryServer()
  await using end = await endOf(server.url)
  const names = ['a', 'b'.repeat(100), 'c'.repeat(101), '']
  for (const thing of names) {
    const turn = await leasesOf(end).hold(DEFAULT_SCOPE, ACTION, { label: '', thing })
    if (turn.kind === 'held') await turn.lease.end(true)
  }
  const known = await leasesOf(end).usual(DEFAULT_SCOPE, names)
  expect(known.map((ms) => ms !== undefined)).toEqual([true, true, false, false])
  const many = (length: number) => leasesOf(end).usual(DEFAULT_SCOPE, Array.from({ length }, String))
  expect(await many(MOST_THINGS)).toHaveLength(MOST_THINGS)
  await expect(many(MOST_THINGS + 1)).rejects.toMatchObject({ code: 'remote.failed' })
})

function askOf() {
  return { instanceName: '', actionDigest: ACTION, label: 'a build', usualMs: 0, thing: '' }
}
const ASK: HoldRequest = { said: { $case: 'ask', ask: askOf() } }

async function* says(...words: readonly HoldRequest[]): AsyncGenerator<HoldRequest> {
  for (const word of words) yield HoldRequest.decode(HoldRequest.encode(word).finish())
  if (words[0] === ASK) await new Promise<void>((resolve) => parked.add(resolve))
}

async function* lives(first: HoldRequest): AsyncGenerator<HoldRequest> {
  yield first
  let isOver = false
  parked.add(() => {
    isOver = true
  })
  while (!isOver) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    yield { said: { $case: 'alive', alive: {} } }
  }
}

function endOf(url: string, token?: string): Promise<RemoteEnd> {
  return openRemote(url.replace('http:', 'grpc:'), token === undefined ? {} : { token })
}

function leasesOf({ fleetLeases }: RemoteEnd): FleetLeases {
  if (fleetLeases === undefined) throw new Error('the end has no leases')
  return fleetLeases
}
