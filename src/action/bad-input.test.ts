import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { Checkout } from './key/key.fixture.ts'

const isLinux = process.platform === 'linux'

describe.runIf(isLinux)('names that are not UTF-8', () => {
  const odd = (checkout: Checkout, name: string) =>
    Buffer.concat([Buffer.from(`${checkout.root}/${name}`), Buffer.of(0xff)])

  test('of files and folders cannot be keyed', async () => {
    using checkout = new Checkout({ 'src/a': '' })
    writeFileSync(odd(checkout, 'src/b'), '')
    expect(await checkout.unkeyable()).toMatch(/not UTF-8/)
    expect(await checkout.inputs({ inputs: { patterns: ['src/a'] } })).toEqual(['src/a'])
    using other = new Checkout({ a: '' })
    mkdirSync(odd(other, 'dir'))
    writeFileSync(Buffer.concat([odd(other, 'dir'), Buffer.from('/x')]), '')
    expect(await other.unkeyable()).toMatch(/not UTF-8/)
  })

  test('do not matter where they are ignored, and a real U+FFFD is a name like others', async () => {
    using checkout = new Checkout({ 'a\uFFFD': '', '.gitignore': 'b*\n' })
    writeFileSync(odd(checkout, 'b'), '')
    expect(await checkout.inputs()).toEqual(['.gitignore', 'a\uFFFD'])
  })
})

test('arguments that were not UTF-8 are refused', async () => {
  using checkout = new Checkout()
  for (const argument of ['a\uFFFD', '\ud800', 'a\0b'])
    await expect(checkout.key({ argv: ['/bin/sh', argument] })).rejects.toMatchObject({ code: 'usage' })
  await expect(checkout.key({ argv: [] })).rejects.toMatchObject({ code: 'usage' })
})

describe.runIf(isLinux)('what is no file', () => {
  test('a FIFO cannot be keyed, and nobody waits for it', async () => {
    using checkout = new Checkout({ a: '' })
    execFileSync('mkfifo', [checkout.path('pipe')])
    expect(await checkout.unkeyable()).toBe('the input pipe is a FIFO')
    expect(await checkout.unkeyable({ inputs: { patterns: ['pipe'] } })).toBe('the input pipe is a FIFO')
  })

  test('nor can a socket', async () => {
    using checkout = new Checkout({ a: '' })
    const server = createServer().listen(checkout.path('socket'))
    await new Promise((ready) => server.once('listening', ready))
    expect(await checkout.unkeyable()).toBe('the input socket is a socket')
    await new Promise((closed) => server.close(closed))
  })
})

test('a command that is not there, or no program, has its own code', async () => {
  using checkout = new Checkout({ plain: '' })
  await expect(checkout.key({ argv: ['no-such-command'] })).rejects.toMatchObject({ code: 'command.not-found' })
  await expect(checkout.key({ argv: ['./plain'] })).rejects.toMatchObject({ code: 'command.not-executable' })
})

// root may read everything, so somebody else has to look.
describe.runIf(isLinux && process.getuid?.() === 0)('what may not be read', () => {
  const script = `
    const { Checkout } = await import(${JSON.stringify(new URL('./key/key.fixture.ts', import.meta.url).href)})
    const { keyOf } = await import(${JSON.stringify(new URL('./key/key.ts', import.meta.url).href)})
    process.setgid(65534); process.setuid(65534)
    const request = { ...Checkout.prototype.request.call({ root: process.argv[1] }), root: process.argv[1] }
    await keyOf(request, { records: undefined, cacheDir: '/nonexistent', home: '/nonexistent' }).then(
      () => console.log('keyed'), (error) => console.log(error.code, error.message))`
  const askAsNobody = (root: string) =>
    spawnSync(process.execPath, ['--input-type=module', '-e', script, root], {
      encoding: 'utf8',
      cwd: fileURLToPath(new URL('.', import.meta.url)),
    })

  test.each([
    ['a file', 'secret'],
    ['a folder', 'closed'],
  ])('%s is named', (_, name) => {
    using checkout = new Checkout({ secret: '', 'closed/x': '' })
    chmodSync(checkout.root, 0o755)
    expect(askAsNobody(checkout.root).stdout.trim()).toBe('keyed')
    chmodSync(checkout.path(name), 0)
    expect(askAsNobody(checkout.root).stdout.trim()).toBe(
      `input.unreadable The input ${name} cannot be read: permission is denied.`,
    )
  })
})
