import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { OutputDeclaration } from '../../src/action/key/keyed-action.ts'
import { clean } from '../../src/action/outputs/clean.ts'
import { dropRemade } from '../../src/action/outputs/clean-aside.ts'
import { rememberLeftovers } from '../../src/action/outputs/leftovers.ts'
import { type Checkout, openCheckout, readTree, writeTree } from '../../src/action/outputs/restore.fixture.ts'

/** Whatever a user had before must be there afterwards: in its place, in the trash, or in git. */
const BUILT = { 'dist/a.js': 'a', 'dist/sub/b.js': 'b', 'dist/link': '->a.js' }

async function built(files: Record<string, string> = BUILT, ...patterns: string[]) {
  const checkout = await openCheckout()
  const outputs = checkout.outputs(...(patterns.length === 0 ? ['dist'] : patterns))
  checkout.write(files)
  const kept = await checkout.keep(outputs)
  return {
    checkout,
    restore: () => checkout.restore(outputs, kept),
    clean: () => cleanedPaths(checkout, outputs),
    path: (path: string) => join(checkout.root, path),
    [Symbol.asyncDispose]: () => checkout[Symbol.asyncDispose](),
  }
}

async function cleanedPaths(checkout: Checkout, outputs: readonly OutputDeclaration[]) {
  const { deleted, foreign } = await clean(checkout.workspace, outputs)
  return { deleted, foreign: foreign.map(({ path }) => path) }
}

describe('a restore', () => {
  test('moves an edited file to the trash, before it puts the built one there', async () => {
    await using it = await built()
    writeFileSync(it.path('dist/sub/b.js'), 'an hour of work')
    expect(await it.restore()).toMatchObject({ kind: 'restored', trashed: ['dist/sub/b.js'], written: 1 })
    expect(it.checkout.trash()).toEqual({ 'dist/sub/b.js': 'an hour of work' })
    expect(it.checkout.read()).toEqual(BUILT)
  })

  test('finds an edit that kept size and modification time', async () => {
    await using it = await built()
    it.checkout.age()
    await it.restore()
    const { atime, mtime } = lstatSync(it.path('dist/a.js'))
    writeFileSync(it.path('dist/a.js'), 'A')
    utimesSync(it.path('dist/a.js'), atime, mtime)
    expect(await it.restore()).toMatchObject({ trashed: ['dist/a.js'] })
    expect(it.checkout.trash()).toEqual({ 'dist/a.js': 'A' })
  })

  test('moves added files and folders to the trash, empty ones too', async () => {
    await using it = await built()
    const mine = { 'dist/mine.txt': 'mine', 'dist/my/notes/x.md': 'x', 'dist/empty/': '', 'dist/to-home': '->/root' }
    writeTree(it.checkout.root, mine)
    expect(await it.restore()).toMatchObject({
      trashed: ['dist/empty', 'dist/mine.txt', 'dist/my', 'dist/to-home'],
      left: [],
    })
    expect(it.checkout.trash()).toEqual(mine)
    expect(it.checkout.read()).toEqual(BUILT)
  })

  test('deletes what is stale and recorded, and nothing else', async () => {
    await using it = await built()
    const outputs = it.checkout.outputs('dist')
    it.checkout.write({ 'dist/old.js': 'old', 'dist/gone/c.js': 'c', 'dist/gone/d.js': 'd' })
    await it.checkout.keep(outputs)
    writeFileSync(it.path('dist/gone/d.js'), 'edited')
    expect(await it.restore()).toMatchObject({ trashed: ['dist/gone/d.js'], left: [] })
    expect(it.checkout.read()).toEqual(BUILT)
    expect(it.checkout.trash()).toEqual({ 'dist/gone/d.js': 'edited' })
  })

  test('a record of another workspace vouches for nothing', async () => {
    await using it = await built()
    const moved = join(it.checkout.sandbox, 'home/project2')
    renameSync(it.checkout.root, moved)
    mkdirSync(it.checkout.root)
    writeTree(moved, { 'dist/mine.js': 'mine' })
    await it.restore()
    expect(readTree(moved)).toEqual({ ...BUILT, 'dist/mine.js': 'mine' })
  })

  test('a folder where a file should be, and the other way round', async () => {
    await using it = await built()
    it.checkout.remove('dist/a.js')
    it.checkout.remove('dist/sub')
    const mine = { 'dist/a.js/deep/mine.txt': 'mine', 'dist/sub': 'a file' }
    it.checkout.write(mine)
    expect(await it.restore()).toMatchObject({ kind: 'restored', left: [] })
    expect(it.checkout.read()).toEqual(BUILT)
    expect(it.checkout.trash()).toEqual(mine)
  })

  test.each(['outside', 'home', 'home/project/src'])('an output that became a link to %s', async (place) => {
    await using it = await built({ ...BUILT, 'src/mine.js': 'mine' })
    const target = join(it.checkout.sandbox, place)
    writeTree(target, { 'a.js': 'not yours', 'precious.txt': 'precious' })
    const before = readTree(target)
    delete before['project/dist/a.js']
    it.checkout.remove('dist')
    symlinkSync(target, it.path('dist'))
    expect(await it.restore()).toMatchObject({ trashed: ['dist'] })
    expect(readTree(target)).toMatchObject({ 'a.js': 'not yours', 'precious.txt': 'precious' })
    expect(readTree(it.path('dist'))).toMatchObject({ 'a.js': 'a' })
    expect(it.checkout.trash()).toEqual({ dist: `->${target}` })
  })

  test('a folder in an output that became a link', async () => {
    await using it = await built()
    const outside = join(it.checkout.sandbox, 'outside')
    writeTree(outside, { 'b.js': 'not yours' })
    it.checkout.remove('dist/sub')
    symlinkSync(outside, it.path('dist/sub'))
    expect(await it.restore()).toMatchObject({ trashed: ['dist/sub'] })
    expect(readTree(outside)).toEqual({ 'b.js': 'not yours' })
    expect(it.checkout.read()).toEqual(BUILT)
  })

  test('read-only files', async () => {
    await using it = await built()
    writeFileSync(it.path('dist/a.js'), 'edited')
    chmodSync(it.path('dist/a.js'), 0o400)
    expect(await it.restore()).toMatchObject({ kind: 'restored' })
    expect(it.checkout.trash()).toEqual({ 'dist/a.js': 'edited' })
    expect(it.checkout.read()).toEqual(BUILT)
  })

  test('names that differ in case only, with newlines, blanks and a dash', async () => {
    const odd = { 'dist/A.js': 'upper', 'dist/new\nline': 'n', 'dist/ ': 'blank', 'dist/-rf': 'dash' }
    await using it = await built(odd)
    const mine = { 'dist/other\nline': 'mine', 'dist/--': 'mine' }
    it.checkout.write(mine)
    await it.restore()
    expect(it.checkout.read()).toEqual(odd)
    expect(it.checkout.trash()).toEqual(mine)
  })

  test('globs overwrite, and delete nothing', async () => {
    await using it = await built({ 'gen/a.map': 'a', 'gen/b.map': 'b' }, 'gen/*.map')
    it.checkout.write({ 'gen/mine.map': 'mine', 'gen/other.txt': 'other' })
    writeFileSync(it.path('gen/a.map'), 'edited')
    expect(await it.restore()).toMatchObject({ trashed: ['gen/a.map'] })
    expect(it.checkout.read('gen')).toEqual({ 'a.map': 'a', 'b.map': 'b', 'mine.map': 'mine', 'other.txt': 'other' })
    expect(await it.clean()).toEqual({ deleted: [], foreign: [] })
  })

  test('does nothing when the trash cannot be had', async () => {
    await using it = await built()
    writeFileSync(it.path('dist/a.js'), 'edited')
    writeFileSync(it.checkout.workspace.trashDir, 'a file where the trash should be')
    await expect(it.restore()).rejects.toMatchObject({ code: 'restore.failed' })
    expect(it.checkout.read()).toEqual({ ...BUILT, 'dist/a.js': 'edited' })
  })
})

describe('with git', () => {
  const git = (checkout: Checkout, ...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { cwd: checkout.root })
  const committed = (checkout: Checkout, ...paths: string[]) => {
    git(checkout, 'init', '-q')
    git(checkout, 'add', '-f', ...paths)
    git(checkout, 'commit', '-qm', 'x')
  }

  test('a tracked file is never deleted, recorded or not', async () => {
    await using it = await built()
    it.checkout.write({ 'dist/tracked.js': 'tracked', 'dist/t/deep.js': 'deep' })
    await it.checkout.keep(it.checkout.outputs('dist'))
    committed(it.checkout, 'dist/tracked.js', 'dist/t/deep.js')
    expect(await it.restore()).toMatchObject({ left: ['dist/t/deep.js', 'dist/tracked.js'], trashed: [] })
    expect(await it.clean()).toMatchObject({ foreign: ['dist/t/deep.js', 'dist/tracked.js'] })
    expect(it.checkout.read()).toEqual({ 'dist/tracked.js': 'tracked', 'dist/t/deep.js': 'deep' })
  })

  test('a clean start leaves a tracked file, though recue recorded it just so', async () => {
    await using it = await built()
    committed(it.checkout, 'dist/sub/b.js')
    expect(await it.clean()).toEqual({ deleted: ['dist/a.js', 'dist/link'], foreign: ['dist/sub/b.js'] })
    expect(it.checkout.read()).toEqual({ 'dist/sub/b.js': 'b' })
    expect(it.checkout.trash()).toEqual({})
  })

  test('a tracked file with changes that nobody has is not overwritten', async () => {
    await using it = await built()
    writeFileSync(it.path('dist/a.js'), 'version in git')
    committed(it.checkout, 'dist/a.js')
    expect(await it.restore()).toMatchObject({ kind: 'restored', trashed: [] })
    expect(it.checkout.read()).toEqual(BUILT)
    writeFileSync(it.path('dist/a.js'), 'uncommitted work')
    writeFileSync(it.path('dist/sub/b.js'), 'edited')
    expect(await it.restore()).toMatchObject({ kind: 'refused', reason: expect.stringContaining('dist/a.js') })
    expect(it.checkout.read()).toEqual({ ...BUILT, 'dist/a.js': 'uncommitted work', 'dist/sub/b.js': 'edited' })
  })

  test('only staged is not committed, and neither is what git was told not to look at', async () => {
    await using it = await built()
    committed(it.checkout, 'dist/a.js', 'dist/sub/b.js')
    writeFileSync(it.path('dist/a.js'), 'staged')
    git(it.checkout, 'add', '-f', 'dist/a.js')
    expect(await it.restore()).toMatchObject({ kind: 'refused' })
    git(it.checkout, 'reset', '-q', '--hard')
    git(it.checkout, 'update-index', '--assume-unchanged', 'dist/a.js')
    writeFileSync(it.path('dist/a.js'), 'hidden from git')
    expect(await it.restore()).toMatchObject({ kind: 'refused' })
    expect(readFileSync(it.path('dist/a.js'), 'utf8')).toBe('hidden from git')
  })

  test('through a link to a tracked folder', async () => {
    await using it = await built({ 'real/dist/a.js': 'a', link: '->real' }, 'link/dist')
    writeFileSync(it.path('real/dist/mine.js'), 'mine')
    committed(it.checkout, 'real')
    expect(await it.restore()).toMatchObject({ left: ['link/dist/mine.js'] })
    writeFileSync(it.path('real/dist/a.js'), 'uncommitted')
    expect(await it.restore()).toMatchObject({ kind: 'refused' })
    expect(it.checkout.read('real')).toEqual({ 'dist/a.js': 'uncommitted', 'dist/mine.js': 'mine' })
  })

  test('a repository inside an output is moved as a whole', async () => {
    await using it = await built()
    it.checkout.write({ 'dist/clone/file.txt': 'work' })
    mkdirSync(it.path('dist/clone/.git'))
    expect(await it.restore()).toMatchObject({ trashed: ['dist/clone'] })
    expect(it.checkout.trash()).toEqual({ 'dist/clone/file.txt': 'work' })
  })

  test('what a checkout tells git to run is not run', async () => {
    await using it = await built()
    committed(it.checkout, 'dist/a.js')
    const marker = join(it.checkout.sandbox, 'ran')
    writeFileSync(it.path('monitor.sh'), `#!/bin/sh\ntouch ${marker}\n`)
    chmodSync(it.path('monitor.sh'), 0o755)
    git(it.checkout, 'config', 'core.fsmonitor', it.path('monitor.sh'))
    writeFileSync(it.path('dist/a.js'), 'edited')
    expect(await it.restore()).toMatchObject({ kind: 'refused' })
    expect(existsSync(marker)).toBe(false)
  })
})

describe('a clean start', () => {
  test('deletes what it recorded, and leaves everything else where it is', async () => {
    await using it = await built()
    writeFileSync(it.path('dist/a.js'), 'edited')
    const mine = { 'dist/mine.txt': 'mine', 'dist/sub/mine.txt': 'mine', 'dist/empty/': '', 'dist/away': '->/root' }
    it.checkout.write(mine)
    expect(await it.clean()).toEqual({
      deleted: ['dist/link', 'dist/sub/b.js'],
      foreign: ['dist/a.js', 'dist/away', 'dist/empty', 'dist/mine.txt', 'dist/sub/mine.txt'],
    })
    expect(it.checkout.read()).toEqual({ 'dist/a.js': 'edited', ...mine })
    expect(it.checkout.trash()).toEqual({})
  })

  test('takes away the folders it recorded when nothing else is in them', async () => {
    await using it = await built({ ...BUILT, 'dist/nothing/': '' })
    expect(await it.clean()).toMatchObject({ foreign: [] })
    expect(it.checkout.read()).toEqual({})
    expect(existsSync(it.path('dist'))).toBe(false)
  })

  test.each([
    ['a folder', 'dist'],
    ['a file', 'dist/a.js'],
    ['a link', 'dist/link'],
  ])('without a record, %s stays', async (_, output) => {
    await using it = await built(BUILT, output)
    for (const name of it.checkout.workspace.records.names('outputs', '')) {
      await it.checkout.workspace.records.remove('outputs', name)
    }
    expect(await it.clean()).toMatchObject({ deleted: [] })
    expect(it.checkout.read()).toEqual(BUILT)
    expect(it.checkout.trash()).toEqual({})
  })

  test('does not follow an output that leads elsewhere now', async () => {
    await using it = await built({ 'sub/dist/a.js': 'a' }, 'sub/dist')
    const outside = join(it.checkout.sandbox, 'outside')
    renameSync(it.path('sub'), outside)
    symlinkSync(outside, it.path('sub'))
    expect(await it.clean()).toEqual({ deleted: [], foreign: ['sub/dist/a.js'] })
    expect(readTree(outside)).toEqual({ 'dist/a.js': 'a' })
  })

  test('an output that became a link to a folder with the same files', async () => {
    await using it = await built()
    const outside = join(it.checkout.sandbox, 'outside')
    renameSync(it.path('dist'), outside)
    symlinkSync(outside, it.path('dist'))
    expect(await it.clean()).toEqual({ deleted: [], foreign: ['dist'] })
    expect(readTree(outside)).toMatchObject({ 'a.js': 'a' })
  })
})

describe('what a run that was not kept left', () => {
  /** A command makes `files` over what the user had, and its result is not kept. */
  async function failed(had: Record<string, string>, files: Record<string, string>) {
    const checkout = await openCheckout()
    const outputs = checkout.outputs('dist')
    checkout.write(had)
    const start = await clean(checkout.workspace, outputs)
    checkout.write(files)
    await rememberLeftovers(checkout.workspace, outputs, start.foreign)
    return {
      checkout,
      outputs,
      clean: () => clean(checkout.workspace, outputs),
      path: (path: string) => join(checkout.root, path),
      [Symbol.asyncDispose]: () => checkout[Symbol.asyncDispose](),
    }
  }
  const MADE = { 'dist/a.js': 'a', 'dist/sub/b.js': 'b', 'dist/link': '->a.js', 'dist/nothing/': '' }

  test.each([['at once', false] as const, ['later', true] as const])(
    'goes to the trash whole (%s)',
    async (_, isAged) => {
      await using it = await failed({}, MADE)
      if (isAged) {
        it.checkout.age()
        await rememberLeftovers(it.checkout.workspace, it.outputs, [])
      }
      const { aside, foreign, deleted } = await it.clean()
      expect(aside.map(({ path }) => path).sort()).toEqual(['dist/a.js', 'dist/link', 'dist/sub/b.js'])
      expect({ foreign, deleted }).toEqual({ foreign: [], deleted: [] })
      expect(existsSync(it.path('dist'))).toBe(false)
      expect(it.checkout.trash()).toEqual({ 'dist/a.js': 'a', 'dist/link': '->a.js', 'dist/sub/b.js': 'b' })
    },
  )

  test('stays in the trash but for what the command makes again', async () => {
    await using it = await failed({}, MADE)
    const { aside } = await it.clean()
    it.checkout.write({ 'dist/a.js': 'a again', 'dist/sub/c.js': 'c' })
    expect([...dropRemade(it.checkout.root, aside)].sort()).toEqual(['dist/link', 'dist/sub/b.js'])
    expect(it.checkout.trash()).toEqual({ 'dist/link': '->a.js', 'dist/sub/b.js': 'b' })
    expect(it.checkout.read()).toEqual({ 'dist/a.js': 'a again', 'dist/sub/c.js': 'c' })
  })

  test('leaves no empty folder in the trash when all of it is made again', async () => {
    await using it = await failed({}, MADE)
    const { aside } = await it.clean()
    it.checkout.write(MADE)
    expect(dropRemade(it.checkout.root, aside)).toEqual([])
    expect(readTree(it.checkout.workspace.trashDir)).toEqual({})
  })

  test('is not what was there before, changed meanwhile or not, nor what was edited since', async () => {
    const had = { 'dist/mine.txt': 'mine', 'dist/draft.txt': 'draft', 'dist/my/': '', 'dist/deep/er/x': 'x' }
    await using it = await failed(had, { ...MADE, 'dist/draft.txt': 'saved while it ran' })
    writeFileSync(it.path('dist/a.js'), 'A')
    chmodSync(it.path('dist/sub/b.js'), 0o600)
    rmSync(it.path('dist/link'))
    symlinkSync('b.js', it.path('dist/link'))
    const { aside, foreign } = await it.clean()
    expect(aside).toEqual([])
    expect(foreign.map(({ path }) => path)).toEqual([
      ...['dist/a.js', 'dist/deep/er/x', 'dist/draft.txt', 'dist/link', 'dist/mine.txt', 'dist/my', 'dist/sub/b.js'],
    ])
    expect(it.checkout.trash()).toEqual({})
  })

  test('is not an edit of the same size with the times put back', async () => {
    await using it = await failed({}, MADE)
    it.checkout.age()
    await rememberLeftovers(it.checkout.workspace, it.outputs, [])
    const { atime, mtime } = lstatSync(it.path('dist/a.js'))
    writeFileSync(it.path('dist/a.js'), 'A')
    utimesSync(it.path('dist/a.js'), atime, mtime)
    expect((await it.clean()).foreign.map(({ path }) => path)).toEqual(['dist/a.js'])
    expect(it.checkout.read()).toEqual({ 'dist/a.js': 'A' })
  })

  test('stays where git has come to track it', async () => {
    await using it = await failed({}, MADE)
    for (const args of [
      ['init', '-q'],
      ['add', '-f', 'dist/a.js'],
    ])
      execFileSync('git', args, { cwd: it.checkout.root })
    const { aside, foreign } = await it.clean()
    expect(aside.map(({ path }) => path)).not.toContain('dist/a.js')
    expect(foreign.map(({ path }) => path)).toEqual(['dist/a.js'])
    expect(readFileSync(it.path('dist/a.js'), 'utf8')).toBe('a')
  })

  test('stays where the output leads elsewhere now', async () => {
    await using it = await failed({}, MADE)
    const outside = join(it.checkout.sandbox, 'outside')
    renameSync(it.path('dist'), outside)
    symlinkSync(outside, it.path('dist'))
    expect(await it.clean()).toMatchObject({ aside: [], foreign: [{ path: 'dist' }] })
    expect(readTree(outside)).toMatchObject({ 'a.js': 'a', 'sub/b.js': 'b' })
  })

  test('stays when the trash cannot be had', async () => {
    await using it = await failed({}, MADE)
    rmSync(it.checkout.workspace.trashDir, { recursive: true, force: true })
    writeFileSync(it.checkout.workspace.trashDir, 'a file where the trash should be')
    const { aside, foreign } = await it.clean()
    expect(aside).toEqual([])
    expect(foreign.map(({ path }) => path)).toEqual(['dist/a.js', 'dist/link', 'dist/sub/b.js'])
    expect(it.checkout.read()).toMatchObject({ 'dist/a.js': 'a', 'dist/sub/b.js': 'b' })
  })

  test('is replaced by a restore where the result has the same file, and moved to the trash where it has none', async () => {
    await using it = await failed({}, {})
    it.checkout.write({ 'dist/a.js': 'kept' })
    const kept = await it.checkout.keep(it.outputs)
    const start = await it.clean()
    it.checkout.write({ 'dist/a.js': 'with an error', 'dist/b.js': 'b' })
    await rememberLeftovers(it.checkout.workspace, it.outputs, start.foreign)
    expect(await it.checkout.restore(it.outputs, kept)).toMatchObject({ kind: 'restored', trashed: ['dist/b.js'] })
    expect(it.checkout.read()).toEqual({ 'dist/a.js': 'kept' })
    expect(it.checkout.trash()).toEqual({ 'dist/b.js': 'b' })
  })

  test('is not overwritten by a restore where git has come to track it, and nothing is committed', async () => {
    await using it = await failed({}, {})
    it.checkout.write({ 'dist/a.js': 'kept' })
    const kept = await it.checkout.keep(it.outputs)
    const start = await it.clean()
    it.checkout.write({ 'dist/a.js': 'with an error' })
    await rememberLeftovers(it.checkout.workspace, it.outputs, start.foreign)
    const git = (...args: string[]) => execFileSync('git', args, { cwd: it.checkout.root })
    git('init', '-q')
    git('add', '-f', 'dist/a.js')
    expect(await it.checkout.restore(it.outputs, kept)).toMatchObject({ kind: 'refused' })
    expect(it.checkout.read()).toEqual({ 'dist/a.js': 'with an error' })
  })

  test('is not a folder that was there before, though it is empty by now', async () => {
    await using it = await failed({ 'dist/deep/er/x': 'x' }, MADE)
    rmSync(it.path('dist/deep/er/x'))
    expect((await it.clean()).foreign.map(({ path }) => path)).toEqual(['dist/deep/er'])
    expect(it.checkout.read()).toEqual({ 'dist/deep/er/': '' })
  })

  test('is not what the output led to while the command ran', async () => {
    await using checkout = await openCheckout()
    const outputs = checkout.outputs('sub/dist')
    const outside = join(checkout.sandbox, 'outside')
    const sub = join(checkout.root, 'sub')
    writeTree(outside, { 'dist/precious.txt': 'precious' })
    const start = await clean(checkout.workspace, outputs)
    symlinkSync(outside, sub)
    await rememberLeftovers(checkout.workspace, outputs, start.foreign)
    rmSync(sub)
    renameSync(outside, sub)
    expect(await clean(checkout.workspace, outputs)).toMatchObject({ aside: [], foreign: [{}] })
    expect(readTree(sub)).toEqual({ 'dist/precious.txt': 'precious' })
  })

  test.each(['project2', 'proj'])('in another workspace (%s) vouches for nothing there', async (name) => {
    await using it = await failed({}, MADE)
    const other = join(it.checkout.sandbox, 'home', name)
    writeTree(other, MADE)
    const { aside } = await clean({ ...it.checkout.workspace, root: other }, it.outputs)
    expect(aside).toEqual([])
    expect(readTree(other)).toEqual(MADE)
    const elsewhere = join(it.checkout.sandbox, 'moved')
    renameSync(it.checkout.root, elsewhere)
    expect(await clean({ ...it.checkout.workspace, root: elsewhere }, it.outputs)).toMatchObject({ aside: [] })
    expect(readTree(elsewhere)).toEqual(MADE)
  })
})

describe('mounts', () => {
  const canMount = () => {
    try {
      execFileSync('unshare', ['-m', 'true'], { stdio: 'ignore' })
      return process.getuid?.() === 0
    } catch {
      return false
    }
  }
  const mounted = (type: 'tmpfs' | 'bind', target: string, source: string) => {
    mkdirSync(target, { recursive: true })
    execFileSync('mount', type === 'tmpfs' ? ['-t', 'tmpfs', 'tmpfs', target] : ['--bind', source, target])
    onTestFinished(() => void execFileSync('umount', [target]))
  }

  test.for(['tmpfs', 'bind'] as const)('nothing is deleted across one (%s)', async (type, { skip }) => {
    skip(!canMount(), 'mounting needs root')
    const checkout = await openCheckout()
    onTestFinished(() => checkout[Symbol.asyncDispose]())
    const outputs = checkout.outputs('dist')
    checkout.write(BUILT)
    const kept = await checkout.keep(outputs)
    const source = join(checkout.sandbox, 'elsewhere')
    writeTree(source, { 'precious.txt': 'precious' })
    const target = join(checkout.root, 'dist/mnt')
    mounted(type, target, source)
    writeTree(target, { 'precious.txt': 'precious', 'b.js': 'b' })
    expect(await checkout.restore(outputs, kept)).toMatchObject({ kind: 'refused' })
    expect(await cleanedPaths(checkout, outputs)).toMatchObject({
      deleted: [],
      foreign: expect.arrayContaining(['dist/mnt/b.js', 'dist/mnt/precious.txt']),
    })
    expect(readTree(target)).toEqual({ 'precious.txt': 'precious', 'b.js': 'b' })
  })

  test('a root on another file system than the cache: staged in the root, trashed by copy', async ({ skip }) => {
    skip(!canMount(), 'mounting needs root')
    const sandbox = await openCheckout()
    onTestFinished(() => sandbox[Symbol.asyncDispose]())
    mounted('tmpfs', join(sandbox.root), '')
    sandbox.write(BUILT)
    const outputs = sandbox.outputs('dist')
    const kept = await sandbox.keep(outputs)
    sandbox.remove('dist')
    expect(await sandbox.restore(outputs, kept)).toMatchObject({ kind: 'restored', written: 3 })
    expect(sandbox.read()).toEqual(BUILT)
    const mine = { 'dist/my/x.txt': 'x', 'dist/my/l': '->x.txt', 'dist/my/run*': 'run' }
    sandbox.write(mine)
    expect(await sandbox.restore(outputs, kept)).toMatchObject({ trashed: ['dist/my'] })
    expect(sandbox.trash()).toEqual(mine)
    expect(sandbox.read()).toEqual(BUILT)
  })
})

test('a whole sandbox comes through all of it', async () => {
  await using it = await built()
  writeTree(it.checkout.sandbox, { 'home/notes.txt': 'notes', 'home/project/src/a.ts': 'a', 'other/x': 'x' })
  for (const path of ['dist/a.js', 'dist/sub/b.js']) writeFileSync(it.path(path), 'edited')
  rmSync(it.path('dist/link'))
  await it.restore()
  await it.clean()
  await it.restore()
  expect(readTree(join(it.checkout.sandbox, 'home'))).toMatchObject({ 'notes.txt': 'notes', 'project/src/a.ts': 'a' })
  expect(readTree(join(it.checkout.sandbox, 'other'))).toEqual({ x: 'x' })
  expect(it.checkout.trash()).toMatchObject({ 'dist/a.js': 'edited', 'dist/sub/b.js': 'edited' })
})
