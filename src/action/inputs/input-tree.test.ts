import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Checkout, treePaths } from '../key/key.fixture.ts'
import { refreshInputs } from './input-refresh.ts'
import { loadKnown, selectionText } from './known-inputs.ts'

type Given = Parameters<Checkout['request']>[0]

function project(): Checkout {
  const files = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`src/d${i % 3}/f${i}`, `content ${i}`]))
  const checkout = new Checkout({ ...files, '.gitignore': 'node_modules\nlogs\n', 'package.json': '{}' })
  checkout.git('init', '-q')
  checkout.git('add', '.')
  return checkout
}

async function learn(checkout: Checkout, given: Given = {}): Promise<string> {
  checkout.settle()
  const { key, inputs } = await checkout.keyed(given)
  await inputs.remember()
  return key.hash
}

/** Which way the answer was found: nothing changed, known paths brought up to date, or all listed again. */
async function wayOf(checkout: Checkout, given: Given = {}): Promise<'unchanged' | 'refreshed' | 'listed'> {
  const request = checkout.request(given)
  const { declareOutputs } = await import('../outputs/output-declarations.ts')
  const outputs = declareOutputs(request.outputs, {
    ...request,
    home: '/nonexistent/home',
    cacheDir: '/nonexistent/cache',
  })
  const place = { ...request, outputs, records: checkout.records, cacheDir: '/nonexistent/cache', signal: undefined }
  const known = loadKnown(place, selectionText(request.inputs, place))
  if (known === undefined) return 'listed'
  const first = known.snapshot.nextChange(`${checkout.root}/`)
  if (first === -1) return 'unchanged'
  return (await refreshInputs(known, first, place)) === undefined ? 'listed' : 'refreshed'
}

/** What a run with no memory says; it is right by definition. */
async function afresh(checkout: Checkout, given: Given = {}): Promise<string> {
  const { keyOf } = await import('../key/key.ts')
  const keyed = await keyOf(checkout.request(given), { ...checkout.options(), records: undefined })
  if (keyed.kind !== 'keyed') throw new Error(keyed.reason)
  return keyed.action.key.hash
}

const dist = { outputs: ['dist'] }

describe('a second look', () => {
  test('at what did not change reads nothing again', async () => {
    using checkout = project()
    const key = await learn(checkout, dist)
    const saves = checkout.records.saves
    expect(await wayOf(checkout, dist)).toBe('unchanged')
    const { key: again, inputs } = await checkout.keyed(dist)
    expect(again.hash).toBe(key)
    await inputs.remember()
    expect(checkout.records.saves).toBe(saves)
  })

  test('after outputs came and went lists no more than the folder they are in', async () => {
    using checkout = project()
    const key = await learn(checkout, dist)
    checkout.write('dist/a', '')
    expect(await wayOf(checkout, dist)).toBe('refreshed')
    expect(await checkout.key(dist)).toBe(key)
    rmSync(checkout.path('dist'), { recursive: true })
    expect(await wayOf(checkout, dist)).toBe('refreshed')
    writeFileSync(checkout.path('dist'), '')
    expect(await checkout.key(dist)).toBe(key)
    checkout.write('node_modules/x', '')
    expect(await wayOf(checkout, dist)).toBe('listed')
    expect(await learn(checkout, dist)).toBe(key)
    rmSync(checkout.path('node_modules'), { recursive: true })
    expect(await wayOf(checkout, dist)).toBe('refreshed')
  })

  test('after git wrote its index asks git’s index and lists nothing', async () => {
    using checkout = project()
    const key = await learn(checkout)
    utimesSync(checkout.path('src/d0/f0'), new Date(), new Date())
    checkout.git('status')
    checkout.git('update-index', '--refresh')
    expect(await wayOf(checkout)).toBe('refreshed')
    expect(await checkout.key()).toBe(key)
    checkout.write('logs/x', '')
    await learn(checkout)
    checkout.git('add', '-f', 'logs/x')
    expect(await wayOf(checkout)).toBe('listed')
    expect(await checkout.inputs()).toContain('logs/x')
  })

  test('that hashed nothing and is remembered loses no digest', async () => {
    using checkout = project()
    await learn(checkout)
    checkout.git('update-index', '--force-write-index')
    const { inputs } = await checkout.keyed()
    const saves = checkout.records.saves
    await inputs.remember()
    expect(checkout.records.saves).toBeGreaterThan(saves)
    checkout.write('src/d1/f1', 'other')
    expect(await checkout.key()).toBe(await afresh(checkout))
  })

  test('at files that were only touched gives the same key', async () => {
    using checkout = project()
    const key = await learn(checkout)
    utimesSync(checkout.path('src/d0/f0'), new Date(), new Date())
    expect(await wayOf(checkout)).toBe('refreshed')
    expect(await checkout.key()).toBe(key)
  })

  test('at a changed file gives another key, and is remembered', async () => {
    using checkout = project()
    await learn(checkout)
    checkout.write('src/d1/f1', 'other')
    expect(await wayOf(checkout)).toBe('refreshed')
    const key = await learn(checkout)
    expect(await wayOf(checkout)).toBe('unchanged')
    expect(await checkout.key()).toBe(key)
    expect(await afresh(checkout)).toBe(key)
  })

  test('never trusts a change that the times do not show', async () => {
    using checkout = new Checkout({ a: '1' })
    // Hashed, remembered and rewritten within one tick of the clock, with the same size.
    for (let i = 0; i < 20; i++) {
      checkout.write('a', `${i % 10}`)
      const { inputs } = await checkout.keyed()
      await inputs.remember()
      checkout.write('a', `${(i + 1) % 10}`)
      expect(await checkout.key()).toBe(await afresh(checkout))
    }
  })

  test('after the rules changed lists again', async () => {
    using checkout = project()
    await learn(checkout)
    checkout.write('src/.gitignore', 'new*\n')
    checkout.write('src/new', '')
    expect(await wayOf(checkout)).toBe('listed')
    await learn(checkout)
    checkout.write('src/.gitignore', '# \n')
    expect(await wayOf(checkout)).toBe('listed')
    expect(await checkout.inputs()).toContain('src/new')
  })

  test('with records that are damaged or gone is right', async () => {
    using checkout = project()
    const key = await learn(checkout)
    for (const [name, record] of [...checkout.records.kept]) {
      checkout.records.kept.set(name, record.subarray(0, record.length - 1))
      expect(await checkout.key()).toBe(key)
      checkout.records.kept.delete(name)
      const { key: again, inputs } = await checkout.keyed()
      expect(again.hash).toBe(key)
      expect(treePaths(inputs)).toHaveLength(32)
      checkout.records.kept.set(name, record)
    }
  })

  test('in another selection or with other outputs is another', async () => {
    using checkout = project()
    checkout.write('dist/a', '')
    const key = await learn(checkout, dist)
    expect(await checkout.key()).not.toBe(key)
    expect(await checkout.inputs({ inputs: { patterns: ['src/d0'] }, ...dist })).toHaveLength(11)
  })
})

describe('whatever happens to the tree', () => {
  const path = fc.constantFrom(
    'a',
    'b/x',
    'b/y',
    'c/d/e',
    '.gitignore',
    'b/.gitignore',
    'ignored',
    'b/ignored',
    'link',
    'out/o',
  )
  const step = fc.oneof(
    fc.record({
      act: fc.constant('write' as const),
      path,
      text: fc.constantFrom('1', '2', 'ignored', 'b', '!ignored', '*'),
    }),
    fc.record({ act: fc.constant('remove' as const), path }),
    fc.record({ act: fc.constant('removeFolder' as const), path: fc.constantFrom('b', 'c', 'c/d', 'out') }),
    fc.record({ act: fc.constant('link' as const), path, text: fc.constantFrom('a', 'b', 'absent', 'c/d', 'link') }),
    fc.record({ act: fc.constant('chmod' as const), path, mode: fc.constantFrom(0o644, 0o755) }),
    fc.record({ act: fc.constant('git' as const), path }),
  )
  const look = { act: 'look' as const }
  const selections: Given[] = [
    { outputs: ['out'] },
    { inputs: { patterns: ['**', '!b/y'], allowEmpty: true } },
    { inputs: { patterns: ['b', 'a', 'link', 'c/*/e'], allowEmpty: true } },
    { inputs: { patterns: ['**/x', 'ignored'], gitignore: false, allowEmpty: true } },
  ]

  function take(checkout: Checkout, step: { act: string; path?: string; text?: string; mode?: number }): void {
    const { act, path = '', text = '', mode } = step
    try {
      if (act === 'write') checkout.write(path, text)
      else if (act === 'remove') rmSync(checkout.path(path))
      else if (act === 'removeFolder') rmSync(checkout.path(path), { recursive: true })
      else if (act === 'chmod') chmodSync(checkout.path(path), mode as number)
      else if (act === 'git') checkout.git('add', '-f', path)
      else if (act === 'link') {
        mkdirSync(checkout.path(`${path}/..`), { recursive: true })
        symlinkSync(text, checkout.path(path))
      }
    } catch {
      // What cannot be done is not done.
    }
  }

  test('the answer with a memory is the answer without one', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...selections), fc.array(step, { maxLength: 8 }), async (given, steps) => {
        using checkout = new Checkout({ a: '1', 'b/x': '1', 'c/d/e': '1', '.gitignore': 'ignored\n' })
        checkout.git('init', '-q')
        checkout.settle()
        for (const one of [look, ...steps.flatMap((one) => [one, look]), look]) {
          take(checkout, one)
          if (one.act !== 'look') continue
          const { key, inputs } = await checkout.keyed(given)
          expect(key.hash).toBe(await afresh(checkout, given))
          expect(inputs.changed()).toBeUndefined()
          await inputs.remember()
        }
      }),
      { numRuns: 100 },
    )
  })
})

describe('changed', () => {
  test('names an input that is no longer what the key says', async () => {
    using checkout = project()
    await learn(checkout)
    const { inputs } = await checkout.keyed()
    expect(inputs.changed()).toBeUndefined()
    const before = readFileSync(checkout.path('src/d2/f2'))
    checkout.write('src/d2/f2', 'edited')
    expect(inputs.changed()).toBe('src/d2/f2')
    checkout.write('src/d2/f2', before.toString())
    expect(inputs.changed()).toBeUndefined()
    chmodSync(checkout.path('src/d2/f2'), 0o755)
    expect(inputs.changed()).toBe('src/d2/f2')
    rmSync(checkout.path('src/d2/f2'))
    expect(inputs.changed()).toBe('src/d2/f2')
  })

  test('sees an edit right after the key was made', async () => {
    using checkout = new Checkout({ a: '1' })
    for (let i = 0; i < 10; i++) {
      const { inputs } = await checkout.keyed()
      checkout.write('a', `${i + 2}`.slice(-1))
      expect(inputs.changed()).toBe('a')
    }
  })

  test('does not mind new files, outputs, or other texts of ignored ones', async () => {
    using checkout = project()
    const { inputs } = await checkout.keyed(dist)
    checkout.write('dist/a', '')
    checkout.write('src/new', '')
    checkout.write('logs/x', '')
    expect(inputs.changed()).toBeUndefined()
    expect(inputs.has('src/new')).toBe(false)
    expect(inputs.has('src/d0/f0')).toBe(true)
    expect(inputs.has('src')).toBe(false)
  })

  test('a link with another text, or a file in its place', async () => {
    using checkout = project()
    symlinkSync('src/d0', checkout.path('link'))
    const { inputs } = await checkout.keyed()
    rmSync(checkout.path('link'))
    symlinkSync('src/d0', checkout.path('link'))
    expect(inputs.changed()).toBeUndefined()
    rmSync(checkout.path('link'))
    symlinkSync('src/d1', checkout.path('link'))
    expect(inputs.changed()).toBe('link')
    rmSync(checkout.path('link'))
    checkout.write('link', 'src/d0')
    expect(inputs.changed()).toBe('link')
  })
})

test('the current folder may be the root or not', async () => {
  using checkout = project()
  await learn(checkout)
  const before = process.cwd()
  const key = await checkout.key()
  try {
    process.chdir(checkout.root)
    expect(await checkout.key()).toBe(key)
    expect(await wayOf(checkout)).toBe('unchanged')
  } finally {
    process.chdir(before)
  }
})

test('an aborted look ends', async () => {
  using checkout = project()
  const { keyOf } = await import('../key/key.ts')
  const signal = AbortSignal.abort(new Error('enough'))
  await expect(keyOf(checkout.request(), { ...checkout.options(), signal })).rejects.toThrow('enough')
})
