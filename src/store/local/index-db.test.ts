import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type IndexDb, LOOK_UPS_BEFORE_MAP, openIndexDb } from './index-db.ts'
import { createTables } from './index-schema.ts'
import { temporaryFolder } from './temporary-store.fixture.ts'

let path: string
beforeEach(() => {
  path = join(temporaryFolder(onTestFinished), 'index.db')
})

function open(options = { readOnly: false, durability: 'fast' } as const): IndexDb {
  const index = openIndexDb(path, options)
  onTestFinished(() => index[Symbol.dispose]())
  return index
}

function lookUpOften(index: IndexDb, times: number): void {
  for (let i = 0; i < times; i++) index.lookUp(() => index.sql('SELECT 1').get(), undefined)
}

const mapped = (index: IndexDb) => Number(index.sql('PRAGMA mmap_size').get()?.[0])

describe('the map of the file', () => {
  test('comes with the look-up that shows that the process lives long, not before', async () => {
    const index = open()
    await createTables(index)
    lookUpOften(index, LOOK_UPS_BEFORE_MAP - 1)
    expect(mapped(index)).toBe(0)
    lookUpOften(index, 1)
    expect(mapped(index)).toBeGreaterThan(1 << 30)
  })

  test('shows what others write, while the file grows and shrinks', async () => {
    const index = open()
    await createTables(index)
    const other = open()
    lookUpOften(index, LOOK_UPS_BEFORE_MAP)
    const names = () => index.lookUp(() => index.sql('SELECT key FROM records ORDER BY key').all().flat(), [])
    const keys = Array.from({ length: 200 }, (_, i) => `k${String(i).padStart(3, '0')}`)
    await other.write(() => {
      for (const key of keys) other.sql('INSERT INTO records VALUES (?, zeroblob(20000), 0)').run(key)
    })
    expect(names()).toEqual(keys)
    await other.write(() => void other.sql("DELETE FROM records WHERE key<>'k007'").run())
    other.sql('VACUUM').run()
    other.sql('PRAGMA wal_checkpoint(TRUNCATE)').all()
    expect(names()).toEqual(['k007'])
  })

  test('is none for an index in memory', async () => {
    path = ':memory:'
    const index = open()
    await createTables(index)
    lookUpOften(index, LOOK_UPS_BEFORE_MAP + 1)
    expect(index.lookUp(() => index.generation(), 0)).toBe(1)
  })
})
