import { expect, test } from 'vitest'
import { OPEN } from './access.ts'
import { HttpAnswers } from './http-answers.ts'
import type { HttpExchange } from './http-exchange.ts'
import type { Protocol, Served } from './protocol.ts'

/** Asks for what is opened to be sent; says whether that was closed by the time the request was over. */
async function isClosedAfter(exchange: Pick<HttpExchange, 'signal' | 'send'>): Promise<boolean> {
  let isClosed = false
  async function* bytes() {
    yield Buffer.from('abc')
  }
  const body = {
    sizeBytes: 3,
    bytes: Object.assign(bytes(), {
      [Symbol.asyncDispose]: async () => {
        isClosed = true
      },
    }),
  }
  const protocol: Protocol = {
    name: 'opening',
    prefix: '/opening',
    answer: async () => ({ status: 200, body }),
    onFault: () => ({ status: 404 }),
    refuse: () => ({ status: 404 }),
  }
  const answers = new HttpAnswers({} as Served, { protocols: [protocol], gate: OPEN, isReady: () => true })
  const over = Promise.withResolvers<void>()
  const nothing = (async function* () {})()
  const request = { method: 'GET', target: '/opening/x', headers: {}, isEncrypted: false, contentLength: undefined }
  answers.take({
    ...{ ...request, body: nothing, cut: over.resolve, signal: exchange.signal },
    send: async (...args) => exchange.send(...args).finally(() => setImmediate(over.resolve)),
  })
  // Who is gone is neither answered nor cut.
  if (exchange.signal.aborted) setImmediate(over.resolve)
  await over.promise
  return isClosed
}

const open = new AbortController().signal

test('what was opened to be sent is closed when its client has gone before', async () => {
  expect(await isClosedAfter({ signal: AbortSignal.abort(), send: async () => 0 })).toBe(true)
})

test('and when it cannot be sent', async () => {
  const send = () => Promise.reject(new Error('the stream has been destroyed'))
  expect(await isClosedAfter({ signal: open, send })).toBe(true)
})

test('and when it was sent', async () => {
  expect(await isClosedAfter({ signal: open, send: async () => 3 })).toBe(true)
})
