import { mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Checkout } from '../key/key.fixture.ts'

const noImplicit = { implicit: false }

async function selected(checkout: Checkout, patterns: readonly string[], more: object = {}): Promise<string[]> {
  const { inputs, ...rest } = { inputs: {}, ...more } as { inputs?: object }
  return checkout.inputs({ inputs: { patterns, ...noImplicit, ...inputs }, ...rest })
}

describe('patterns', () => {
  const files = {
    'src/a.ts': '',
    'src/b.js': '',
    'src/deep/c.ts': '',
    'src/.hidden': '',
    'other/d.ts': '',
    'top.ts': '',
  }

  test.each([
    [['src']],
    [['./src/']],
    [['src/**']],
    [['src/*']],
    [['{src,nothing}/**']],
    [['**/*', '!other', '!top.ts']],
    [['.', '!other/**', '!*.ts']],
  ])('%j takes all of a folder, dotfiles too', async (patterns) => {
    using checkout = new Checkout(files)
    expect(await selected(checkout, patterns)).toEqual(['src/.hidden', 'src/a.ts', 'src/b.js', 'src/deep/c.ts'])
  })

  test.each([
    [['**/*.ts'], ['other/d.ts', 'src/a.ts', 'src/deep/c.ts', 'top.ts']],
    [['*.ts'], ['top.ts']],
    [['s*/*.ts'], ['src/a.ts']],
    [
      ['src/**/*.{ts,js}', '!**/b.*'],
      ['src/a.ts', 'src/deep/c.ts'],
    ],
    [
      ['src', '!src/deep', 'src/deep/c.ts'],
      ['src/.hidden', 'src/a.ts', 'src/b.js', 'src/deep/c.ts'],
    ],
    [
      ['src', '!src/**/*.ts', 'src/deep/*.ts'],
      ['src/.hidden', 'src/b.js', 'src/deep/c.ts'],
    ],
    [['!src', 'src/a.ts'], ['src/a.ts']],
    [['src/a.ts', '!src'], []],
  ])('%j: the last match decides', async (patterns, expected) => {
    using checkout = new Checkout(files)
    expect(await selected(checkout, patterns, { inputs: { allowEmpty: true } })).toEqual(expected)
  })

  test('are relative to the working directory', async () => {
    using checkout = new Checkout(files)
    expect(
      await selected(checkout, ['c.ts', '../a.ts', checkout.path('top.ts')], { workingDirectory: 'src/deep' }),
    ).toEqual(['src/a.ts', 'src/deep/c.ts', 'top.ts'])
  })

  test('a plain path with the characters of a glob, and a glob beside it', async () => {
    using checkout = new Checkout({
      'app/[id]/p.ts': '',
      'app/i/p.ts': '',
      'app/{a,b}.ts': '',
      'app/a.ts': '',
      'x\\y': '',
    })
    expect(await selected(checkout, ['app/[id]'])).toEqual(['app/[id]/p.ts'])
    expect(await selected(checkout, ['app/{a,b}.ts'])).toEqual(['app/{a,b}.ts'])
    expect(await selected(checkout, ['app/[id]/p.ts', 'x\\y'])).toEqual(['app/[id]/p.ts', 'x\\y'])
    rmSync(checkout.path('app/[id]'), { recursive: true })
    expect(await selected(checkout, ['app/[id]/p.ts'])).toEqual(['app/i/p.ts'])
  })

  test('names with spaces, newlines and a leading dash', async () => {
    using checkout = new Checkout({ '-v': '', 'a b': '', 'c\nd': '', '@e': '', '#f': '' })
    const names = ['-v', 'a b', 'c\nd', './@e', '#f']
    expect(await selected(checkout, names)).toEqual(['#f', '-v', '@e', 'a b', 'c\nd'])
    expect(await selected(checkout, ['*'])).toEqual(['#f', '-v', '@e', 'a b', 'c\nd'])
  })

  test('a list stands for its lines, one pattern each', async () => {
    using checkout = new Checkout({ ...files, 'w/list.txt': '../src\n\n!../src/**/*.ts\r\n#x\n', 'w/#x': '' })
    const given = { workingDirectory: 'w' }
    expect(await selected(checkout, ['@list.txt'], given)).toEqual(['src/.hidden', 'src/b.js', 'w/#x'])
    await expect(selected(checkout, ['@absent'], given)).rejects.toMatchObject({ code: 'input.unreadable' })
  })

  test('.git never counts, not even when named', async () => {
    using checkout = new Checkout({ '.git/config': '', 'a/.git/config': '', 'a/x': '' })
    expect(await selected(checkout, ['.', 'a/.git/config'], { inputs: { allowEmpty: true } })).toEqual(['a/x'])
  })

  test('one that matches nothing is an error, unless that is allowed', async () => {
    using checkout = new Checkout({ 'src/a': '', '.gitignore': 'ignored', ignored: '' })
    mkdirSync(checkout.path('empty'))
    for (const pattern of ['absent', 'src/*.ts', 'empty', 'empty/**', 'src/a/b', 'ignore*']) {
      const given = ['src', pattern]
      await expect(selected(checkout, given)).rejects.toMatchObject({
        code: 'input.no-match',
        message: expect.stringContaining(pattern),
      })
      expect(await selected(checkout, given, { inputs: { allowEmpty: true } })).toEqual(['src/a'])
    }
  })

  test('one that leaves the root is an error with a hint', async () => {
    using checkout = new Checkout({ a: '' })
    for (const pattern of ['../x', '/etc/passwd', 'a/../../x', '!../x'])
      await expect(selected(checkout, [pattern])).rejects.toMatchObject({
        code: 'input.outside-root',
        hint: expect.stringContaining('--root'),
      })
  })
})

describe('.gitignore', () => {
  const files = {
    '.gitignore': 'dist\n*.log\n',
    'a.log': '',
    'dist/x.js': '',
    'src/.gitignore': '!keep.log\n',
    'src/a.log': '',
    'src/keep.log': '',
    'src/x.ts': '',
  }

  test('is respected at every level', async () => {
    using checkout = new Checkout(files)
    expect(await selected(checkout, ['.'])).toEqual(['.gitignore', 'src/.gitignore', 'src/keep.log', 'src/x.ts'])
  })

  test('can be switched off', async () => {
    using checkout = new Checkout(files)
    const all = await selected(checkout, ['.'], { inputs: { gitignore: false } })
    expect(all).toEqual(Object.keys(files).sort())
  })

  test('does not touch what is named outright', async () => {
    using checkout = new Checkout(files)
    expect(await selected(checkout, ['a.log', 'dist', 'src/*.ts'])).toEqual(['a.log', 'dist/x.js', 'src/x.ts'])
    expect(await selected(checkout, ['dist/x.js'])).toEqual(['dist/x.js'])
  })

  test('above the root counts, as far as git’s top level', async () => {
    using checkout = new Checkout({
      '.gitignore': 'b.txt\n',
      'in/.gitignore': '/root/c.txt',
      'in/root/b.txt': '',
      'in/root/c.txt': '',
      'in/root/d.txt': '',
    })
    const given = { root: checkout.path('in/root') }
    expect(await selected(checkout, ['.'], given)).toEqual(['b.txt', 'c.txt', 'd.txt'])
    checkout.git('init', '-q')
    expect(await selected(checkout, ['.'], given)).toEqual(['d.txt'])
  })

  test('never the user’s own excludes', async () => {
    using checkout = new Checkout({ a: '', b: '' })
    checkout.git('init', '-q')
    checkout.write('.git/info/exclude', 'a\n')
    expect(await checkout.inputs()).toEqual(['a', 'b'])
  })
})

describe('without patterns', () => {
  const files = {
    '.gitignore': 'ignored*\nnode_modules/\n',
    a: '',
    ignored: '',
    'dist/o': '',
    'node_modules/m/i.js': '',
  }

  test('no git: all that .gitignore leaves, less the outputs', async () => {
    using checkout = new Checkout(files)
    expect(await checkout.inputs({ outputs: ['dist'] })).toEqual(['.gitignore', 'a'])
    expect(await checkout.inputs({ outputs: ['dist/*'] })).toEqual(['.gitignore', 'a'])
    expect(await checkout.inputs()).toEqual(['.gitignore', 'a', 'dist/o'])
  })

  test('git: what it tracks, ignored or not, and what it would track', async () => {
    using checkout = new Checkout({ ...files, 'ignored-folder/t': '', 'ignored-folder/u': '', gone: '' })
    checkout.git('init', '-q')
    checkout.git('add', '-f', 'ignored', 'ignored-folder/t', 'gone', 'dist/o')
    rmSync(checkout.path('gone'))
    expect(await checkout.inputs({ outputs: ['dist'] })).toEqual(['.gitignore', 'a', 'ignored', 'ignored-folder/t'])
  })

  test('a submodule counts by its own rules and files', async () => {
    using library = new Checkout({ '.gitignore': 'made\n', source: '', made: '', forced: '' })
    library.git('init', '-q')
    library.git('add', '.')
    library.git('commit', '-qm', 'x')
    using checkout = new Checkout({ '.gitignore': 'source\n', a: '' })
    checkout.git('init', '-q')
    checkout.git('submodule', '--quiet', 'add', '-f', library.root, 'sub')
    checkout.write('sub/made', '')
    checkout.write('sub/untracked', '')
    const listed = await checkout.inputs()
    expect(listed).toEqual([
      '.gitignore',
      '.gitmodules',
      'a',
      'sub/.gitignore',
      'sub/forced',
      'sub/source',
      'sub/untracked',
    ])
  })

  test('a root that the repository around it ignores stands for itself', async () => {
    using checkout = new Checkout({ '.gitignore': '*\n', 'project/a': '', 'project/b': '' })
    checkout.git('init', '-q')
    expect(await checkout.inputs({ root: checkout.path('project') })).toEqual(['a', 'b'])
  })

  test('a hook’s settings change nothing', async () => {
    using checkout = new Checkout({ a: '', b: '', '.gitignore': 'b' })
    checkout.git('init', '-q')
    checkout.git('add', '-f', 'b')
    process.env.GIT_INDEX_FILE = '/nonexistent'
    try {
      expect(await checkout.inputs()).toEqual(['.gitignore', 'a', 'b'])
    } finally {
      delete process.env.GIT_INDEX_FILE
    }
  })

  test('an empty project has a key', async () => {
    using checkout = new Checkout()
    expect(await checkout.inputs()).toEqual([])
  })

  test('the cache’s own folder never counts', async () => {
    using checkout = new Checkout({ a: '', '.cache/recue/index.db': '' })
    const { keyOf } = await import('../key/key.ts')
    const options = { ...checkout.options(), cacheDir: checkout.path('.cache/recue') }
    const keyed = await keyOf(checkout.request(), options)
    expect(keyed.kind === 'keyed' && keyed.action.inputs.count).toBe(1)
  })
})

describe('implicit inputs', () => {
  test('package.json, lockfiles and installed state, from the working directory up', async () => {
    using checkout = new Checkout({
      'package.json': '',
      'pnpm-lock.yaml': '',
      'node_modules/.modules.yaml': '',
      'p/package.json': '',
      'p/q/yarn.lock': '',
      'p/q/src/a': '',
      'p/q/src/node_modules/.package-lock.json': '',
      'p/r/package.json': '',
      '.gitignore': 'node_modules\n',
    })
    const given = { workingDirectory: 'p/q/src', inputs: { patterns: ['a'] } }
    expect(await checkout.inputs(given)).toEqual([
      'node_modules/.modules.yaml',
      'p/package.json',
      'p/q/src/a',
      'p/q/src/node_modules/.package-lock.json',
      'p/q/yarn.lock',
      'package.json',
      'pnpm-lock.yaml',
    ])
    expect(await checkout.inputs({ ...given, inputs: { patterns: ['a'], implicit: false } })).toEqual(['p/q/src/a'])
  })
})

describe('of pnpm', () => {
  const files = { 'package.json': '', 'node_modules/.modules.yaml': 'prunedAt: today', '.gitignore': 'node_modules\n' }

  test('the lockfile of what is installed counts, and not when or where it was', async () => {
    using checkout = new Checkout(files)
    expect(await checkout.inputs({ inputs: { patterns: ['package.json'] } })).toContain('node_modules/.modules.yaml')
    checkout.write('node_modules/.pnpm/lock.yaml', 'a')
    expect(await checkout.inputs({ inputs: { patterns: ['package.json'] } })).toEqual([
      'node_modules/.pnpm/lock.yaml',
      'package.json',
    ])
    const before = await checkout.key()
    checkout.write('node_modules/.modules.yaml', 'prunedAt: tomorrow')
    expect(await checkout.key()).toBe(before)
    checkout.write('node_modules/.pnpm/lock.yaml', 'b')
    expect(await checkout.key()).not.toBe(before)
    rmSync(checkout.path('node_modules/.pnpm'), { recursive: true })
    expect(await checkout.inputs()).toContain('node_modules/.modules.yaml')
  })
})

describe.each(['node_modules\n', 'node_modules/\n'])('node_modules that is a link, ignored as %j', (gitignore) => {
  const installed = 'node_modules/.package-lock.json'

  test('out of the root: what is installed there counts, the link itself is not judged', async () => {
    using elsewhere = new Checkout({ [installed]: 'one', 'node_modules/x/package.json': '' })
    using checkout = new Checkout({ 'package.json': '', 'src/a': '', '.gitignore': gitignore })
    checkout.git('init', '-q')
    symlinkSync(elsewhere.path('node_modules'), checkout.path('node_modules'))
    expect(await checkout.inputs()).toEqual(['.gitignore', installed, 'package.json', 'src/a'])
    expect(await checkout.inputs({ inputs: { patterns: ['src'] } })).toEqual([installed, 'package.json', 'src/a'])
    checkout.settle()
    elsewhere.settle()
    const before = await checkout.keyed()
    await before.inputs.remember()
    elsewhere.write(installed, 'two')
    expect(before.inputs.changed()).toBe(installed)
    expect(await checkout.key()).not.toBe(before.key.hash)
    elsewhere.write(installed, 'one')
    expect(await checkout.key()).toBe(before.key.hash)
    rmSync(checkout.path('node_modules'))
    expect(await checkout.inputs()).toEqual(['.gitignore', 'package.json', 'src/a'])
    // The same as in a checkout that has a real folder there.
    checkout.write(installed, 'one')
    expect(await checkout.key()).toBe(before.key.hash)
  })

  test('within the root: not all that it leads to counts', async () => {
    using checkout = new Checkout({
      [installed]: '',
      'node_modules/x/index.js': '',
      'p/a': '',
      '.gitignore': gitignore,
    })
    symlinkSync('../node_modules', checkout.path('p/node_modules'))
    expect(await checkout.inputs({ workingDirectory: 'p', inputs: { patterns: ['a'] } })).toEqual([installed, 'p/a'])
    expect(await checkout.inputs({ workingDirectory: 'p' })).toEqual(['.gitignore', installed, 'p/a'])
  })

  test('and is named as an input is judged', async () => {
    using elsewhere = new Checkout({ [installed]: '' })
    using checkout = new Checkout({ a: '', '.gitignore': gitignore })
    symlinkSync(elsewhere.path('node_modules'), checkout.path('node_modules'))
    const patterns = ['a', 'node_modules']
    expect(await checkout.unkeyable({ inputs: { patterns } })).toContain('the link node_modules')
    expect(await checkout.inputs({ inputs: { patterns, allowLinks: ['node_modules'] } })).toEqual(['a', 'node_modules'])
  })
})

test('node_modules that is a link out of the root and that nothing ignores is judged', async () => {
  using checkout = new Checkout({ a: '' })
  symlinkSync('/nonexistent', checkout.path('node_modules'))
  expect(await checkout.unkeyable()).toContain('the link node_modules')
  expect(await checkout.inputs({ inputs: { patterns: ['a'] } })).toEqual(['a'])
})

describe('links', () => {
  test('count by their text and by what they point to', async () => {
    using checkout = new Checkout({ 'real/a': '1', 'real/b': '2', 'elsewhere/c': '3', in: '' })
    symlinkSync('real', checkout.path('link'))
    symlinkSync('../elsewhere/c', checkout.path('real/to-c'))
    expect(await selected(checkout, ['link', 'in'])).toEqual([
      'elsewhere/c',
      'in',
      'link',
      'real/a',
      'real/b',
      'real/to-c',
    ])
    expect(await selected(checkout, ['link/a'])).toEqual(
      ['link', 'real/a', 'real/b', 'real/to-c', 'elsewhere/c'].sort(),
    )
    const before = await checkout.key({ inputs: { patterns: ['link'] } })
    checkout.write('elsewhere/c', '4')
    expect(await checkout.key({ inputs: { patterns: ['link'] } })).not.toBe(before)
  })

  test('to what is ignored or not selected bring it in', async () => {
    using checkout = new Checkout({ '.gitignore': 'hidden', 'hidden/x': '', 'other/y': '', 'src/a': '' })
    symlinkSync('../hidden', checkout.path('src/one'))
    symlinkSync('../other/y', checkout.path('src/two'))
    expect(await selected(checkout, ['src'])).toEqual(['hidden/x', 'other/y', 'src/a', 'src/one', 'src/two'])
  })

  test('that dangle count by their text, until something is there', async () => {
    using checkout = new Checkout({ a: '' })
    symlinkSync('absent/x', checkout.path('link'))
    expect(await checkout.inputs()).toEqual(['a', 'link'])
    const before = await checkout.key({ inputs: { patterns: ['link'] } })
    checkout.write('absent/x', '')
    expect(await checkout.key({ inputs: { patterns: ['link'] } })).not.toBe(before)
  })

  test('in loops end', async () => {
    using checkout = new Checkout({ 'a/x': '' })
    symlinkSync('self', checkout.path('self'))
    symlinkSync('..', checkout.path('a/up'))
    symlinkSync('pong', checkout.path('ping'))
    symlinkSync('ping', checkout.path('pong'))
    expect(await checkout.inputs()).toEqual(['a/up', 'a/x', 'ping', 'pong', 'self'])
    expect(await selected(checkout, ['a'])).toEqual(['a/up', 'a/x', 'ping', 'pong', 'self'])
  })

  test('that leave the root, are absolute, or lead into .git cannot be keyed, unless allowed', async () => {
    using checkout = new Checkout({ a: '', '.git/HEAD': '', 'sub/b': '' })
    const texts = { out: '../x', absolute: checkout.path('a'), git: '.git/HEAD', 'sub/twice': '../out' }
    for (const [name, text] of Object.entries(texts)) {
      symlinkSync(text, checkout.path(name))
      const reason = await checkout.unkeyable({ inputs: { patterns: [name] } })
      expect(reason).toContain('--allow-link')
      expect(reason).not.toContain('\n')
      const allowed = { patterns: [name], allowLinks: ['out', 'absolute', 'git'] }
      expect(await checkout.inputs({ inputs: allowed })).toContain(name)
    }
    expect(await checkout.unkeyable()).toContain('link')
  })
})
