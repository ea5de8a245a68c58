import { expect, test } from 'vitest'
import { patient } from './stream-sink.ts'

test('a reader that has gone away gets no more, and is no failure', async () => {
  let writes = 0
  const sink = patient({
    async stdout() {
      writes++
      throw Object.assign(new Error('closed'), { code: 'EPIPE' })
    },
    stderr() {},
  })
  for (let i = 0; i < 3; i++) await sink.stdout(Buffer.from('x'))
  expect(writes).toBe(1)
  expect(sink.failure()).toBeUndefined()
})

test('anything else is remembered, the other stream goes on', async () => {
  const heard: string[] = []
  const sink = patient({
    stdout() {
      throw new RangeError('a bug')
    },
    stderr: (chunk) => void heard.push(Buffer.from(chunk).toString()),
  })
  await sink.stdout(Buffer.from('x'))
  await sink.stderr(Buffer.from('y'))
  expect(sink.failure()).toBeInstanceOf(RangeError)
  expect(heard).toEqual(['y'])
})
