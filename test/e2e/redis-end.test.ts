import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { digestOf } from '../../src/digest/sha256.ts'
import { certificateFor } from '../../src/server/listen/certificate.fixture.ts'
import { temporaryServer } from '../../src/server/temporary-server.fixture.ts'
import { action, actionStoreContract, result } from '../../src/store/action-store.contract.ts'
import { blobStoreContract } from '../../src/store/blob-store.contract.ts'
import { content } from '../../src/store/content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../../src/store/contracts.ts'
import { readWhole } from '../../src/store/read-whole.ts'
import { openRemote } from '../../src/store/remote/open-remote.ts'
import { splitEnds } from '../../src/store/split/split-ends.ts'
import { freePort } from './free-port.ts'
import { REDIS_SKIPPED, RedisProcess } from './redis-server.ts'
import { repository } from './runtimes.ts'
import { skipIf } from './skip-if.ts'

/** The action results of a Redis, over the blobs of a server. */
async function openSplit() {
  const [redis, server] = [await RedisProcess.start(), await temporaryServer()]
  const end = splitEnds({ blobs: await openRemote(server.url), results: await openRemote(redis.address) })
  return {
    ...end,
    async [Symbol.asyncDispose]() {
      await using _redis = redis
      await using _server = server
      await end[Symbol.asyncDispose]()
    },
  }
}

/** Large blobs are let in here, so that the contract is asked of them, too. */
async function open() {
  const server = await RedisProcess.start()
  const end = await openRemote(`${server.address}/3?max-blob=8MiB&ttl=1h`)
  return {
    ...end,
    async [Symbol.asyncDispose]() {
      await end[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

const blob = content(5000, 1)
const digest = digestOf(blob)

function tests(): void {
  blobStoreContract('redis', open)
  actionStoreContract('redis', open)
  blobStoreContract('http and redis', openSplit)
  actionStoreContract('http and redis', openSplit)

  test('what is used is kept its whole time again, in one layout; a result with what it names', async () => {
    await using server = await RedisProcess.start()
    const address = `${server.address}?ttl=1h`
    {
      await using end = await openRemote(address)
      await end.blobs.write(scope, digest, blob)
      await end.actions.put({ instance: 'team' }, action('a'), result([digest]))
    }
    const keys = [`recue:cas:${digest.hash}:5000`, `recue:ac:team:${action('a').hash}`]
    expect(server.say('KEYS', '*').split('\n').sort()).toEqual([...keys].sort())
    for (const key of keys) server.say('EXPIRE', key, '10')
    await using end = await openRemote(address)
    expect(await end.actions.get({ instance: 'team' }, action('a'))).toMatchObject({ kind: 'hit' })
    // Its answer comes behind those of the touches.
    await end.actions.remove(scope, action('none'))
    for (const key of keys) expect(Number(server.say('TTL', key))).toBeGreaterThan(3500)
  })

  test('what it evicts is missing, and a result without all that it names is a miss', async () => {
    await using server = await RedisProcess.start('--maxmemory', '4mb', '--maxmemory-policy', 'allkeys-lru')
    await using end = await openRemote(server.address)
    const blobs = Array.from({ length: 40 }, (_, i) => content(200_000, i))
    let kept = 0
    for (const [i, bytes] of blobs.entries()) {
      await end.blobs.write(scope, digestOf(bytes), bytes)
      // The blob itself may be the one that went.
      await end.actions.put(scope, action(`${i}`), result([digestOf(bytes)])).catch(() => undefined)
    }
    for (const [i, bytes] of blobs.entries()) {
      const lookup = await end.actions.get(scope, action(`${i}`))
      if (lookup.kind === 'miss') continue
      kept++
      expect(await readWhole(end.blobs, scope, digestOf(bytes))).toEqual(bytes)
    }
    expect(kept).toBeGreaterThan(0)
    expect(kept).toBeLessThan(40)
  })

  test('a server with no memory left refuses, and still answers', async () => {
    await using server = await RedisProcess.start('--maxmemory', '3mb', '--maxmemory-policy', 'noeviction')
    await using end = await openRemote(server.address)
    await end.blobs.write(scope, digest, blob)
    const fill = async () => {
      for (let i = 0; i < 100; i++) await end.blobs.write(scope, digestOf(content(200_000, i)), content(200_000, i))
    }
    await expect(fill()).rejects.toMatchObject({ code: 'store.full', message: expect.stringContaining('no memory') })
    expect(await readWhole(end.blobs, scope, digest)).toEqual(blob)
  })

  test('a wrong password, a user who may only read, and a replica are told as what they are', async () => {
    const users = ['--requirepass', 'secret', ...'--user reader on >look ~recue:* +@read'.split(' ')]
    await using server = await RedisProcess.start(...users)
    const at = (user: string) => openRemote(`redis://${user}@127.0.0.1:${server.port}`)
    await using end = await at(':secret')
    await end.blobs.write(scope, digest, blob)
    await using none = await openRemote(server.address)
    await expect(none.blobs.read(scope, digest)).rejects.toMatchObject({ code: 'remote.denied' })
    await using wrong = await at(':other')
    await expect(wrong.blobs.read(scope, digest)).rejects.toMatchObject({ code: 'remote.denied' })
    await using reader = await at('reader:look')
    expect(await readWhole(reader.blobs, scope, digest)).toEqual(blob)
    expect(await reader.blobs.missing(scope, [digest])).toEqual([])
    await expect(reader.blobs.write(scope, digest, blob)).rejects.toMatchObject({ code: 'remote.denied' })
    await using replica = await RedisProcess.start('--replicaof', '127.0.0.1', '1')
    await using reading = await openRemote(replica.address)
    expect(await reading.blobs.missing(scope, [digest])).toEqual([digest])
    await expect(reading.blobs.write(scope, digest, blob)).rejects.toMatchObject({ code: 'store.read-only' })
  })

  test('a socket is a way in', async () => {
    await using server = await RedisProcess.start()
    const socket = path.join(server.folder, 'redis.sock')
    await using other = await RedisProcess.start('--unixsocket', socket)
    await using end = await openRemote(`redis+unix:${socket}?db=2`)
    await end.blobs.write(scope, digest, blob)
    expect(other.say('-n', '2', 'DBSIZE')).toBe('1')
  })

  test('TLS: a certificate that is trusted, one that is not, one of ours that is asked for, and a port without', async () => {
    await using server = await RedisProcess.start()
    const authority = certificateFor('authority')
    const own = certificateFor('own', { signedBy: authority })
    const files = { ca: authority.cert, cert: own.cert, key: own.key }
    const flags = Object.entries(files).flatMap(([name, pem]) => {
      const file = path.join(server.folder, name)
      writeFileSync(file, pem)
      return [name === 'ca' ? '--tls-ca-cert-file' : `--tls-${name}-file`, file]
    })
    const port = await freePort()
    await using secure = await RedisProcess.start('--tls-port', `${port}`, ...flags)
    const address = `rediss://127.0.0.1:${port}`
    const { ca, cert, key } = files
    await using both = await openRemote(address, { tls: { ca, cert, key } })
    await both.blobs.write(scope, digest, blob)
    expect(secure.say('DBSIZE')).toBe('1')
    for (const [other, told] of [
      [await openRemote(address, { tls: { cert, key } }), { code: 'remote.tls' }],
      [await openRemote(address, { tls: { ca } }), { code: 'remote.tls' }],
      [
        await openRemote(`redis://127.0.0.1:${port}`),
        { code: expect.stringMatching(/^remote\.(incompatible|unreachable)$/) },
      ],
    ] as const) {
      await using end = other
      await expect(end.blobs.read(scope, digest)).rejects.toMatchObject(told)
    }
    // Redis takes what TLS says first for the beginning of a line, and waits for its end.
    await using plain = await openRemote(`rediss://127.0.0.1:${server.port}`, { connectMs: 300 })
    await expect(plain.blobs.read(scope, digest)).rejects.toMatchObject({
      code: 'remote.timed-out',
      hint: expect.stringContaining('redis://'),
    })
  })

  test('a server that is killed in the middle is a fault of all that was under way, and of use as soon as it is back', async () => {
    await using server = await RedisProcess.start()
    await using end = await openRemote(server.address)
    const blobs = Array.from({ length: 200 }, (_, i) => content(50_000, i))
    const writes = blobs.map((bytes) => end.blobs.write(scope, digestOf(bytes), bytes))
    const settled = Promise.allSettled(writes)
    server.hold()
    await server.kill()
    const codes = (await settled).map((write) => write.status === 'rejected' && write.reason.code)
    expect(codes).toContain('remote.unreachable')
    expect(codes.filter((code) => code !== false && code !== 'remote.unreachable')).toEqual([])
    await expect(end.blobs.missing(scope, [digest])).rejects.toMatchObject({ code: 'remote.unreachable' })
    await server.start()
    expect(await end.blobs.missing(scope, [digest])).toEqual([digest])
    await end.blobs.write(scope, digest, blob)
    expect(await readWhole(end.blobs, scope, digest)).toEqual(blob)
  })

  test('a server that stands still is left when patience ends', async () => {
    await using server = await RedisProcess.start()
    await using end = await openRemote(server.address, { idleMs: 300 })
    await end.blobs.write(scope, digest, blob)
    server.hold()
    await expect(end.blobs.read(scope, digest)).rejects.toMatchObject({ code: 'remote.timed-out' })
    await expect(end.blobs.read(scope, digest, { signal: AbortSignal.timeout(50) })).rejects.toThrow(/timeout/i)
    server.letGo()
    expect(await readWhole(end.blobs, scope, digest)).toEqual(blob)
  })

  test.for([
    ['Node', process.execPath],
    ['Bun', path.join(repository, 'node_modules/.bin/bun')],
  ] as const)('a process on %s ends by itself with a connection open', async ([, program]) => {
    await using server = await RedisProcess.start()
    const script = `
      import { digestOf } from '${repository}/src/digest/sha256.ts'
      import { openRemote } from '${repository}/src/store/remote/open-remote.ts'
      import { readWhole } from '${repository}/src/store/read-whole.ts'
      const { blobs } = await openRemote('${server.address}')
      const scope = { instance: '' }
      const contents = Array.from({ length: 300 }, (_, i) => Buffer.alloc(20_000, 'content ' + i))
      await Promise.all(contents.map((bytes) => blobs.write(scope, digestOf(bytes), bytes)))
      let same = 0
      for await (const { index, bytes } of blobs.readBatch(scope, contents.map(digestOf)))
        if (bytes && Buffer.from(bytes).equals(contents[index])) same++
      await blobs.missing(scope, [digestOf(Buffer.from('none'))])
      console.log(same)`
    const args = program.endsWith('bun') ? ['-e', script] : ['--input-type=module', '-e', script]
    const ended = spawnSync(program, args, { encoding: 'utf8', timeout: 20_000 })
    expect([ended.stdout.trim(), ended.status, ended.stderr]).toEqual(['300', 0, ''])
  })
}

if (REDIS_SKIPPED) test('the Redis end', (context) => skipIf(REDIS_SKIPPED, context))
else tests()
