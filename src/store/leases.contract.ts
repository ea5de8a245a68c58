import { describe, expect, it } from 'vitest'
import type { Leases } from './contracts.ts'

/** What all leases keep to, within one process. */
export function leasesContract(name: string, open: () => Leases): void {
  describe(`${name} as Leases`, () => {
    it('gives a name to one at a time', async () => {
      const leases = open()
      const first = await leases.tryHold('a')
      expect(first?.name).toBe('a')
      expect(await leases.tryHold('a')).toBeUndefined()
      expect(await leases.tryHold('b')).toBeDefined()
      await first?.[Symbol.asyncDispose]()
      expect(await leases.tryHold('a')).toBeDefined()
    })

    it('takes names of any kind', async () => {
      const leases = open()
      for (const odd of ['a/b', '../a', 'ü '.repeat(20), 'x\ny', '.', '..', 'long '.repeat(100), 'a.note']) {
        await using lease = await leases.hold(odd)
        expect(lease.name).toBe(odd)
        expect(await leases.tryHold(odd)).toBeUndefined()
      }
    })

    it('wakes those who wait in their order, and tells them of the holder', async () => {
      const leases = open()
      const told: string[] = []
      const order: number[] = []
      const first = await leases.hold('a', { note: 'building' })
      const onWait = (holder: string) => told.push(holder)
      const others = [1, 2, 3].map(async (number) => {
        await using _ = await leases.hold('a', { note: `number ${number}`, onWait })
        order.push(number)
      })
      await first[Symbol.asyncDispose]()
      await Promise.all(others)
      expect(order).toEqual([1, 2, 3])
      expect(told).toEqual(['building', 'building', 'building'])
    })

    it('names those that are held', async () => {
      const leases = open()
      expect(leases.heldNames('')).toEqual([])
      const [first, , third] = await Promise.all(
        ['a b/c.d', 'a b%', 'c'].map((name) => leases.hold(name, { note: 'me' })),
      )
      expect(leases.heldNames('a b').sort()).toEqual(['a b%', 'a b/c.d'])
      await first?.[Symbol.asyncDispose]()
      await third?.[Symbol.asyncDispose]()
      expect(leases.heldNames('')).toEqual(['a b%'])
    })

    it('does not tell of waiting when there is none', async () => {
      await using _ = await open().hold('a', { onWait: () => expect.unreachable() })
    })

    it('never lets two in', async () => {
      const leases = open()
      let inside = 0
      const enter = async () => {
        await using _ = await leases.hold('a')
        expect(++inside).toBe(1)
        await new Promise((wake) => setImmediate(wake))
        inside--
      }
      await Promise.all(Array.from({ length: 30 }, enter))
    })

    it('lets a waiter give up, and the others go on', async () => {
      const leases = open()
      const first = await leases.hold('a')
      const control = new AbortController()
      const given = leases.hold('a', { signal: control.signal })
      const next = leases.hold('a')
      control.abort(new Error('enough'))
      await expect(given).rejects.toThrow('enough')
      await first[Symbol.asyncDispose]()
      await (await next)[Symbol.asyncDispose]()
      await expect(leases.hold('a', { signal: control.signal })).rejects.toThrow('enough')
    })

    it('is let go once, however often it is disposed of', async () => {
      const leases = open()
      const first = await leases.hold('a')
      await first[Symbol.asyncDispose]()
      const second = await leases.hold('a')
      await first[Symbol.asyncDispose]()
      expect(await leases.tryHold('a')).toBeUndefined()
      await second[Symbol.asyncDispose]()
    })
  })
}
