import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Bench } from '../../fixtures/commands.ts'

/** Another cache, for the same project. */
const elsewhere = (bench: Bench) => ({ RECUE_CACHE_DIR: join(bench.base, 'other-cache') })

test('what one cache exports is a hit in another that imports it', async () => {
  using bench = new Bench()
  await bench.build()
  const file = join(bench.base, 'cache.tar.zst')
  const exported = await bench.recue(['export', file])
  expect(exported).toMatchObject({
    code: 0,
    stdout: '',
    stderr: expect.stringMatching(/^Exported 1 result: .* written\.\n$/),
  })
  const imported = await bench.recue(['import', file], elsewhere(bench))
  expect(imported).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^Imported 1 result: .* in \d+ blobs?\.\n$/),
  })
  expect(await bench.recue(['import', file], elsewhere(bench))).toMatchObject({
    stdout: expect.stringMatching(/Known already: 1\.\n$/),
  })
  rmSync(join(bench.root, 'dist'), { recursive: true })
  const hit = await bench.build(elsewhere(bench))
  expect(hit.stderr).toContain('hit')
  expect(readFileSync(join(bench.root, 'dist/all'), 'utf8')).not.toBe('')
})

test('results are chosen by key and by when they were used', async () => {
  using bench = new Bench()
  await bench.build()
  bench.write('src/a.txt', 'changed')
  await bench.build()
  const [newest] = await bench.json<{ key: string }[]>(['ls'])
  const file = join(bench.base, 'some.tar.zst')
  const key = newest?.key ?? ''
  expect(await bench.json(['export', file, key.slice(0, 8)])).toMatchObject({ actions: 1, absent: [] })
  expect(await bench.json(['export', file, '--used', '1h'])).toMatchObject({ actions: 2 })
  expect(await bench.json(['export', file, '--used', '0'])).toMatchObject({ actions: 0 })
  expect(await bench.recue(['export', file, 'unheard-of'])).toMatchObject({
    code: 125,
    stderr: expect.stringMatching(/^recue: No task unheard-of was run here, and no key begins so\.\n/),
  })
})

test('a file that cannot be imported is refused in one line, one that cannot be written leaves nothing behind', async () => {
  using bench = new Bench()
  await bench.build()
  const bad = join(bench.base, 'bad.tar.zst')
  writeFileSync(bad, 'no archive')
  expect(await bench.recue(['import', bad])).toMatchObject({
    code: 125,
    stderr: expect.stringMatching(/^recue: The archive cannot be used further: it is no zstd stream, or cut off\.\n/),
  })
  expect(await bench.recue(['import', join(bench.root, 'nowhere')])).toMatchObject({
    code: 125,
    stderr: expect.stringMatching(/cannot be read \(ENOENT\)/),
  })
  const folder = bench.base
  const before = readdirSync(folder)
  expect(await bench.recue(['export', join(folder, 'no-such-folder/x')])).toMatchObject({ code: 125 })
  expect(await bench.recue(['export', '-', '--json'])).toMatchObject({ code: 125 })
  expect(readdirSync(folder)).toEqual(before)
  expect(existsSync(`${bad}.part`)).toBe(false)
})
