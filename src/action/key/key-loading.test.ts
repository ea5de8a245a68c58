import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Checkout } from './key.fixture.ts'

/** Asks for a key in a process of its own that knows the records, and tells what that took. */
const script = `
  import { registerHooks } from 'node:module'
  import { readFileSync } from 'node:fs'
  const loaded = []
  registerHooks({ resolve(specifier, context, next) { loaded.push(specifier); return next(specifier, context) } })
  const { keyOf } = await import(${JSON.stringify(new URL('./key.ts', import.meta.url).href)})
  const { request, kept } = JSON.parse(readFileSync(process.argv[1], 'utf8'))
  const records = { load: (kind, name) => kept[kind + ' ' + name] && Buffer.from(kept[kind + ' ' + name], 'base64'), save: async () => {} }
  const { action } = await keyOf(request, { records, cacheDir: '/nonexistent/cache', home: '/nonexistent/home' })
  await action.inputs.remember()
  console.log(JSON.stringify({ key: action.key.hash, loaded }))`

test('a key whose inputs did not change needs no globs, no ignore rules, no other process', async () => {
  using checkout = new Checkout({ '.gitignore': 'dist\n', 'src/a': 'a', 'src/b': 'b' })
  checkout.git('init', '-q')
  checkout.settle()
  const given = { outputs: ['dist'] }
  const { key, inputs } = await checkout.keyed(given)
  await inputs.remember()
  const kept = Object.fromEntries(
    [...checkout.records.kept].map(([name, record]) => [name, Buffer.from(record).toString('base64')]),
  )
  using elsewhere = new Checkout()
  const ask = (): { key: string; loaded: string[] } => {
    writeFileSync(elsewhere.path('asked.json'), JSON.stringify({ request: checkout.request(given), kept }))
    const args = ['--input-type=module', '-e', script, elsewhere.path('asked.json')]
    return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as { key: string; loaded: string[] }
  }
  const heavy = /picomatch|^ignore$|child_process|zlib|input-(scan|listing|refresh)/
  const hit = ask()
  expect(hit.key).toBe(key.hash)
  expect(hit.loaded.filter((name) => heavy.test(name))).toEqual([])

  // The everyday case: outputs came, which changes the folder they are in.
  checkout.write('dist/o', '')
  const restored = ask()
  expect(restored.key).toBe(key.hash)
  expect(
    restored.loaded.filter((name) => /picomatch|^ignore$|child_process|zlib|input-(scan|listing)\.ts/.test(name)),
  ).toEqual([])
})
