import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { SYSTEM_CLOCK } from './clock.ts'

/** This process does nothing else meanwhile. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

test.each([0, 60])(
  'what has come while this process was busy for %i ms too long is heard before time is up',
  async (ms) => {
    await using server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
    const [[peer]] = await Promise.all([once(server, 'connection') as Promise<[Socket]>, once(client, 'connect')])
    const order: string[] = []
    const heard = once(client, 'data').then(() => order.push('heard'))
    const { promise, resolve } = Promise.withResolvers<void>()
    const startMs = SYSTEM_CLOCK.elapsedMs()
    SYSTEM_CLOCK.after(10, () => {
      order.push('time is up')
      resolve()
    })
    await new Promise<void>((done) => peer.write('x', () => done()))
    block(10 + ms)
    await Promise.all([promise, heard])
    expect(order).toEqual(['heard', 'time is up'])
    expect(SYSTEM_CLOCK.elapsedMs() - startMs).toBeGreaterThanOrEqual(10)
    client.destroy()
    peer.destroy()
  },
)

test('what is disposed of is not called, at whatever moment', async () => {
  const called: string[] = []
  const early = SYSTEM_CLOCK.after(0, () => called.push('early'))
  early[Symbol.dispose]()
  const late = SYSTEM_CLOCK.after(1, () => called.push('late'))
  block(60)
  // After its timer, before it would have been called.
  await new Promise((resolve) => setTimeout(resolve, 0))
  late[Symbol.dispose]()
  await new Promise<void>((resolve) => SYSTEM_CLOCK.after(60, resolve))
  expect(called).toEqual([])
})
