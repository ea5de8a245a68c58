import { expect, test } from 'vitest'
import { ByteGate } from './byte-gate.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('lets in what there is room for, in turn; the first one whatever its size', async () => {
  const gate = new ByteGate(10)
  const log: string[] = []
  const enter = async (name: string, bytes: number) => {
    const leave = await gate.enter(bytes)
    log.push(name)
    return leave
  }
  const leaveHuge = await enter('huge', 100)
  const six = enter('six', 6)
  const five = enter('five', 5)
  const one = enter('one', 1)
  await turn()
  expect(log).toEqual(['huge'])
  leaveHuge()
  await turn()
  // There is room for `one`, which came later.
  expect(log).toEqual(['huge', 'six'])
  ;(await six)()
  await Promise.all([five, one])
  expect(log).toEqual(['huge', 'six', 'five', 'one'])
  await enter('four', 4)
  const two = enter('two', 2)
  ;(await one)()
  // There is room for one more, and `two` came first.
  const last = enter('last', 1)
  await turn()
  expect(log.at(-1)).toBe('four')
  ;(await five)()
  await Promise.all([two, last])
  expect(log.slice(-2)).toEqual(['two', 'last'])
})

test('whoever gives up makes way for those behind, and takes no room', async () => {
  const gate = new ByteGate(10)
  const leave = await gate.enter(9)
  const control = new AbortController()
  const large = gate.enter(5, control.signal)
  const small = gate.enter(1)
  control.abort(new Error('enough'))
  await expect(large).rejects.toThrow('enough')
  ;(await small)()
  leave()
  await gate.enter(10)
  await expect(gate.enter(1, AbortSignal.abort(new Error('never')))).rejects.toThrow('never')
})
