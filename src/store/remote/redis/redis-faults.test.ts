import { afterEach, beforeEach, expect, test } from 'vitest'
import { digestOf } from '../../../digest/sha256.ts'
import type { CacheError } from '../../../errors.ts'
import { action, result } from '../../action-store.contract.ts'
import { content } from '../../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../../contracts.ts'
import { readWhole } from '../../read-whole.ts'
import { faultyPort, HASTY, PATIENT } from '../fault-servers.fixture.ts'
import { openRemote, type RemoteOptions } from '../open-remote.ts'
import { type Answers, bulk, fakeRedis } from './fake-redis.fixture.ts'

let used: AsyncDisposableStack
beforeEach(() => {
  used = new AsyncDisposableStack()
})
afterEach(() => used.disposeAsync())

async function faulty(answers: Answers, options: RemoteOptions = PATIENT, suffix = '') {
  const server = used.use(await fakeRedis(answers))
  return { ...used.use(await openRemote(`${server.address}${suffix}`, options)), server }
}

const blob = content(5000, 1)
const digest = digestOf(blob)
const NONE = '$-1\r\n'

test.each([
  ['-NOAUTH Authentication required.', 'remote.denied', /password/],
  ['-NOPERM this user has no permissions', 'remote.denied', /does not let this user/],
  ["-READONLY You can't write against a read only replica.", 'store.read-only', /replica/],
  ['-LOADING Redis is loading the dataset in memory', 'remote.unreachable', /loading/],
  ["-OOM command not allowed when used memory > 'maxmemory'.", 'store.full', /no memory left/],
  ['-MISCONF Redis is configured to save RDB snapshots', 'store.full', /disk/],
  ['-MOVED 3999 127.0.0.1:6381', 'remote.incompatible', /cluster/],
  ['-DENIED Redis is running in protected mode', 'remote.denied', /protected/],
  ['-ERR max number of clients reached', 'remote.unreachable', /clients/],
  ['-ERR something new', 'remote.failed', /something new/],
  ['+QUEUED', 'remote.incompatible', /does not answer Redis/],
  [':1', 'remote.incompatible', /does not answer Redis/],
])('a refusal is told as what it is: %s', async (reply, code, message) => {
  const end = await faulty(() => `${reply}\r\n`)
  for (const call of [
    () => end.actions.get(scope, action('a')),
    () => end.actions.put(scope, action('a'), result([])),
    () => end.blobs.write(scope, digest, blob),
    () => end.blobs.read(scope, digest),
  ])
    await expect(call()).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
      ...(!/^[+]|^:/.test(reply) && { hint: expect.any(String) }),
      context: { server: expect.stringMatching(/^redis:\/\/127/) },
    })
})

test('what was asked and is repeated in a refusal holds no password', async () => {
  const reply = ([name = '', ...args]: readonly string[]) =>
    `-ERR unknown command '${name} ${args[0]}', with args beginning with: '${args.join("' '")}'\r\n`
  const end = await faulty(reply, { ...PATIENT, token: 'secret' })
  const told: CacheError = await end.actions.get(scope, action('a')).catch((error) => error)
  expect(told.message).toMatch(/unknown command 'AUTH/)
  expect(`${told.message} ${JSON.stringify(told)}`).not.toMatch(/secret|with args/)
})

test('nothing is asked before the password is taken and the database is there', async () => {
  let said: readonly string[][] = []
  const end = await faulty(
    (command) => {
      said = [...said, [...command]]
      return command[0] === 'GET' ? NONE : command[0] === 'PEXPIRE' ? ':0\r\n' : '+OK\r\n'
    },
    { ...PATIENT, token: 'secret' },
    '/7',
  )
  expect(await end.actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'absent' })
  expect(said.slice(0, 2)).toEqual([
    ['AUTH', 'secret'],
    ['SELECT', '7'],
  ])
  const refusing = await faulty(
    ([name]) => (name === 'SELECT' ? '-ERR DB index is out of range\r\n' : '+OK\r\n'),
    PATIENT,
    '/99',
  )
  await expect(refusing.actions.get(scope, action('a'))).rejects.toMatchObject({ code: 'remote.incompatible' })
  expect(refusing.server.asked).toEqual(['SELECT'])
})

test.each([
  ['HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'remote.incompatible'],
  ['TLS', '\x15\x03\x03\0\x02\x02\x46', 'remote.incompatible'],
  ['gRPC', '\0\0\x12\x04\0\0\0\0\0', 'remote.incompatible'],
  ['too many clients, unasked', '-ERR max number of clients reached\r\n', 'remote.unreachable'],
])('a port with something else is told: %s', async (_, greeting, code) => {
  const port = used.use(await faultyPort((socket) => socket.end(greeting, 'latin1')))
  const end = used.use(await openRemote(`redis://${port.address}`, PATIENT))
  await expect(end.actions.get(scope, action('a'))).rejects.toMatchObject({ code })
})

test('what is said before somebody hangs up is told to all who waited', async () => {
  const port = used.use(
    await faultyPort((socket) => socket.once('data', () => socket.end('-ERR max number of clients reached\r\n'))),
  )
  const end = used.use(await openRemote(`redis://${port.address}`, PATIENT))
  const calls = [
    end.actions.get(scope, action('a')),
    end.actions.get(scope, action('b')),
    end.blobs.read(scope, digest),
  ]
  for (const told of await Promise.allSettled(calls))
    expect(told).toMatchObject({ reason: { code: 'remote.unreachable', message: expect.stringContaining('clients') } })
})

test('TLS is asked for where nobody speaks it, and the other way round', async () => {
  const plain = used.use(
    await faultyPort((socket) => socket.once('data', () => socket.end('-ERR unknown command\r\n'))),
  )
  const secure = used.use(await openRemote(`rediss://${plain.address}`, PATIENT))
  await expect(secure.actions.get(scope, action('a'))).rejects.toMatchObject({
    code: 'remote.incompatible',
    hint: expect.stringContaining('redis://'),
  })
  const still = used.use(await faultyPort(() => undefined))
  const waiting = used.use(await openRemote(`rediss://${still.address}`, HASTY))
  await expect(waiting.actions.get(scope, action('a'))).rejects.toMatchObject({
    code: 'remote.timed-out',
    hint: expect.stringContaining('redis://'),
  })
})

test('a server that is not there is told of at once, each time anew', async () => {
  const gone = await fakeRedis(() => NONE)
  await gone[Symbol.asyncDispose]()
  const end = used.use(await openRemote(gone.address, PATIENT))
  for (let i = 0; i < 3; i++)
    await expect(end.actions.get(scope, action('a'))).rejects.toMatchObject({
      code: 'remote.unreachable',
      hint: expect.stringContaining('Nothing listens'),
    })
})

test('a server that says nothing is left, with all that was asked of it; the next call has a new connection', async () => {
  let isStill = true
  const end = await faulty(() => (isStill ? undefined : NONE), HASTY)
  const calls = [end.actions.get(scope, action('a')), end.blobs.read(scope, digest)]
  for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'remote.timed-out' })
  isStill = false
  expect(await end.blobs.read(scope, digest)).toBeUndefined()
  expect(end.server.connections()).toBe(2)
})

test('who gives up on a silent connection does not send the next one there, and takes nobody along', async () => {
  let held: (() => void) | undefined
  const port = used.use(
    await faultyPort((socket) => {
      if (held === undefined) held = () => socket.write(`${NONE}:0\r\n${NONE}:0\r\n`)
      else
        socket.on('data', (piece: Buffer) => {
          for (const [name] of piece.toString().matchAll(/GET|PEXPIRE/g)) socket.write(name === 'GET' ? NONE : ':0\r\n')
        })
    }),
  )
  const end = used.use(await openRemote(`redis://${port.address}`, PATIENT))
  const control = new AbortController()
  const patient = end.blobs.read(scope, digest)
  const hasty = end.blobs.read(scope, digestOf(content(10, 1)), { signal: control.signal })
  await new Promise((resolve) => setImmediate(resolve))
  control.abort(new Error('enough'))
  await expect(hasty).rejects.toThrow('enough')
  expect(await end.blobs.read(scope, digestOf(content(10, 2)))).toBeUndefined()
  const before = end.receivedBytes?.() ?? 0
  held?.()
  expect(await patient).toBeUndefined()
  expect(end.receivedBytes?.()).toBe(before + 2 * `${NONE}:0\r\n`.length)
})

test('a silence in the middle of the answers is one, too', async () => {
  const end = await faulty(([, key]) => (key?.endsWith(':10') ? undefined : NONE), HASTY)
  const [first, second] = [end.blobs.read(scope, digest), end.blobs.read(scope, digestOf(content(10, 1)))]
  expect(await first).toBeUndefined()
  await expect(second).rejects.toMatchObject({ code: 'remote.timed-out' })
})

test('who gives up while something comes leaves the connection to all others', async () => {
  const rest = Buffer.concat([blob, Buffer.from(`\r\n:0\r\n${NONE}:0\r\n${NONE}`)])
  const end = await faulty(([name, key = '']) => {
    if (key.endsWith(':10')) return name === 'GET' ? '$5000\r\n' : undefined
    if (key.endsWith(':20')) return name === 'GET' ? rest : ':0\r\n'
    return undefined
  })
  const control = new AbortController()
  const patient = readWhole(end.blobs, scope, digest)
  const hasty = end.blobs.read(scope, digestOf(content(10, 1)), { signal: control.signal })
  while (end.receivedBytes?.() === 0) await new Promise((resolve) => setImmediate(resolve))
  control.abort(new Error('enough'))
  await expect(hasty).rejects.toThrow('enough')
  expect(await end.blobs.read(scope, digestOf(content(20, 1)))).toBeUndefined()
  expect(await patient).toEqual(blob)
  expect(end.server.connections()).toBe(1)
})

test('what was asked takes room only until it is answered', async () => {
  const end = await faulty(() => NONE)
  const largest = { ...digest, sizeBytes: 1 << 20 }
  for (let i = 0; i < 40; i++) expect(await end.blobs.read(scope, largest)).toBeUndefined()
  expect(end.server.asked.filter((name) => name === 'GET')).toHaveLength(40)
})

test('who gives up at the door takes nobody along, and is not heard of inside', async () => {
  let letIn: (() => void) | undefined
  const said: string[] = []
  const port = used.use(
    await faultyPort((socket) =>
      socket.on('data', (piece: Buffer) => {
        const text = piece.toString()
        said.push(text)
        if (text.includes('AUTH')) letIn = () => socket.write('+OK\r\n')
        for (const [name] of text.matchAll(/GET|PEXPIRE/g)) socket.write(name === 'GET' ? NONE : ':0\r\n')
      }),
    ),
  )
  const end = used.use(await openRemote(`redis://:secret@${port.address}`, PATIENT))
  const control = new AbortController()
  const hasty = end.blobs.write(scope, digest, blob, control.signal)
  const patient = end.blobs.read(scope, digest)
  while (letIn === undefined) await new Promise((resolve) => setImmediate(resolve))
  control.abort(new Error('enough'))
  await expect(hasty).rejects.toThrow('enough')
  letIn()
  expect(await patient).toBeUndefined()
  expect(said.join()).not.toContain('SET')
})

test('a stream that is another blob of the same length is not sent', async () => {
  const end = await faulty(() => '+OK\r\n')
  async function* other() {
    yield content(5000, 2)
  }
  await expect(end.blobs.write(scope, digest, other())).rejects.toMatchObject({ code: 'store.corrupt' })
  expect(end.server.asked).toEqual([])
})

test('a connection that breaks off fails what was asked on it', async () => {
  const port = used.use(await faultyPort((socket) => socket.once('data', () => socket.end(`$5000\r\nabc`))))
  const end = used.use(await openRemote(`redis://${port.address}`, PATIENT))
  for (let i = 0; i < 2; i++)
    await expect(end.blobs.read(scope, digest)).rejects.toMatchObject({ code: 'remote.unreachable' })
})

test('a blob that is another is not handed out, is told, and gives way to the right one', async () => {
  const flipped = Buffer.from(blob)
  flipped[4999] = (flipped[4999] as number) ^ 1
  const end = await faulty(([name]) => (name === 'GET' ? bulk(flipped) : ':1\r\n'))
  const read = async () => {
    await using bytes = await end.blobs.read(scope, digest)
    for await (const _ of bytes ?? []) return 'handed out'
    return 'nothing'
  }
  await expect(read()).rejects.toMatchObject({ code: 'store.corrupt' })
  for await (const entry of end.blobs.readBatch(scope, [digest])) expect(entry.bytes).toBeUndefined()
  await end.blobs.missing(scope, []).then(() => end.actions.remove(scope, action('a')))
  expect(end.server.asked.filter((name) => name === 'DEL')).toHaveLength(3)
})

test('a blob of another length is a miss, and so is one that is gone between two looks', async () => {
  const short = await faulty(([name]) =>
    name === 'GET' ? bulk(blob.subarray(1)) : name === 'STRLEN' ? ':4999\r\n' : ':1\r\n',
  )
  expect(await short.blobs.read(scope, digest)).toBeUndefined()
  expect(await short.blobs.missing(scope, [digest])).toEqual([digest])
  const gone = await faulty(([name]) => (name === 'STRLEN' ? ':5000\r\n' : ':0\r\n'))
  expect(await gone.blobs.missing(scope, [digest])).toEqual([digest])
})

test('who may only read can: nothing depends on a time that is not renewed', async () => {
  const end = await faulty(([name]) =>
    name === 'GET' ? bulk(blob) : name === 'STRLEN' ? ':5000\r\n' : '-NOPERM no\r\n',
  )
  expect(await readWhole(end.blobs, scope, digest)).toEqual(blob)
  expect(await end.blobs.missing(scope, [digest])).toEqual([])
})

test('more than was asked for is not taken in', async () => {
  const end = await faulty(() => '$99999999\r\nabc')
  await expect(end.blobs.read(scope, digest)).rejects.toMatchObject({ code: 'remote.incompatible' })
})

test('an action result that is none, or another’s, is a miss', async () => {
  const end = await faulty(([name]) => (name === 'GET' ? bulk(Buffer.from([10, 200])) : ':1\r\n'))
  expect(await end.actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'corrupt' })
})

test('a result that there is no memory for is not taken for kept', async () => {
  const end = await faulty(([name]) => (name === 'SET' ? '-OOM command not allowed\r\n' : NONE))
  await expect(end.actions.put(scope, action('a'), result([]))).rejects.toMatchObject({ code: 'store.full' })
})

test('an action result of another action with the same hash is a miss', async () => {
  let kept: Buffer | undefined
  const end = await faulty(([name, , value = '']) => {
    if (name === 'SET') kept = Buffer.from(value, 'latin1')
    return name === 'SET' ? '+OK\r\n' : kept === undefined ? NONE : bulk(kept)
  })
  await end.actions.put(scope, action('a'), result([]))
  expect(await end.actions.get(scope, action('a'))).toMatchObject({ kind: 'hit' })
  const other = { ...action('a'), sizeBytes: action('a').sizeBytes + 1 }
  expect(await end.actions.get(scope, other)).toEqual({ kind: 'miss', why: 'absent' })
})

test('what is larger than a blob may be is not asked for, and refused with what to do', async () => {
  const end = await faulty(() => undefined, HASTY)
  const large = content((1 << 20) + 1, 1)
  expect(await end.blobs.missing(scope, [digestOf(large)])).toEqual([digestOf(large)])
  expect(await end.blobs.read(scope, digestOf(large))).toBeUndefined()
  const tooLarge = { code: 'store.too-large', hint: expect.stringContaining('max-blob') }
  await expect(end.blobs.write(scope, digestOf(large), large)).rejects.toMatchObject(tooLarge)
  let isClosed = false
  async function* source() {
    try {
      for (;;) yield large
    } finally {
      isClosed = true
    }
  }
  await expect(end.blobs.ingest(scope, source())).rejects.toMatchObject(tooLarge)
  expect(isClosed).toBe(true)
  expect(end.server.asked).toEqual([])
})

test('what is just as large as a blob may be is taken', async () => {
  const end = await faulty(() => '+OK\r\n')
  const largest = content(1 << 20, 1)
  await end.blobs.write(scope, digestOf(largest), largest)
  expect(end.server.asked).toEqual(['SET'])
})

test('many small questions are few writes on one connection', async () => {
  let pieces = 0
  const port = used.use(
    await faultyPort((socket) =>
      socket.on('data', (piece: Buffer) => {
        pieces++
        for (const [, name] of piece.toString().matchAll(/\r\n(STRLEN|PEXPIRE)\r\n/g))
          socket.write(name === 'STRLEN' ? ':10\r\n' : ':1\r\n')
      }),
    ),
  )
  const end = used.use(await openRemote(`redis://${port.address}`, PATIENT))
  const digests = Array.from({ length: 200 }, (_, i) => digestOf(content(10, i)))
  expect(await end.blobs.missing(scope, digests)).toEqual([])
  expect(pieces).toBeLessThan(5)
})

test('what is not wanted any more is not asked', async () => {
  const end = await faulty(() => NONE)
  await end.blobs.read(scope, digest)
  const before = end.server.asked.length
  const signal = AbortSignal.abort(new Error('enough'))
  await expect(end.actions.get(scope, action('a'), signal)).rejects.toThrow('enough')
  await expect(end.blobs.write(scope, digest, blob, signal)).rejects.toThrow('enough')
  expect(end.server.asked).toHaveLength(before)
})
