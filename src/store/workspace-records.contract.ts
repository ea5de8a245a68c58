import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { WorkspaceRecords } from './contracts.ts'

export interface OpenedRecords extends AsyncDisposable {
  readonly records: WorkspaceRecords
}

/** What every keeper of workspace records keeps to. `open` gives an empty one. */
export function workspaceRecordsContract(name: string, open: () => Promise<OpenedRecords>): void {
  describe(`${name} as WorkspaceRecords`, () => {
    let opened: OpenedRecords
    beforeEach(async () => {
      opened = await open()
    })
    afterEach(() => opened[Symbol.asyncDispose]())

    it('gives back what was saved last, apart by kind and name', async () => {
      const { records } = opened
      expect(records.load('inputs', 'a')).toBeUndefined()
      await records.save('inputs', 'a', Buffer.from('one'))
      await records.save('inputs', 'a', Buffer.from('two'))
      await records.save('outputs', 'a', Buffer.alloc(0))
      expect(Buffer.from(records.load('inputs', 'a') ?? []).toString()).toBe('two')
      expect(records.load('outputs', 'a')).toHaveLength(0)
      expect(records.load('inputs', 'b')).toBeUndefined()
    })

    it('keeps a megabyte', async () => {
      const record = Buffer.alloc(1 << 20, 'snapshot')
      await opened.records.save('inputs', 'large', record)
      expect(record.equals(opened.records.load('inputs', 'large') ?? Buffer.alloc(0))).toBe(true)
    })

    it('lists names page by page', async () => {
      const { records } = opened
      const all = ['/w/a', '/w/b', '/w/c', '/w/d']
      for (const name of [...all, '/x']) await records.save('restore', name, Buffer.from('x'))
      expect(records.names('restore', '/w/', { most: 3 })).toEqual(all.slice(0, 3))
      expect(records.names('restore', '/w/', { after: '/w/b', most: 3 })).toEqual(all.slice(2))
      expect(records.names('restore', '/w/', { after: '/w/bb', most: 1 })).toEqual(['/w/c'])
      expect(records.names('restore', '/w/', { after: '/a', most: 9 })).toEqual(all)
      expect(records.names('restore', '/w/', { after: '/w/d', most: 9 })).toEqual([])
      expect(records.names('restore', '/w/', { most: 0 })).toEqual([])
    })

    it('lists names by prefix, and forgets what is removed', async () => {
      const { records } = opened
      for (const name of ['/w/a', '/w/b', '/x', '/w/ü%_']) await records.save('restore', name, Buffer.from('x'))
      await records.save('outputs', '/w/other-kind', Buffer.from('x'))
      expect(records.names('restore', '/w/')).toEqual(['/w/a', '/w/b', '/w/ü%_'])
      await records.remove('restore', '/w/a')
      await records.remove('restore', '/never')
      expect(records.load('restore', '/w/a')).toBeUndefined()
      expect(records.names('restore', '')).toEqual(['/w/b', '/w/ü%_', '/x'])
    })
  })
}
