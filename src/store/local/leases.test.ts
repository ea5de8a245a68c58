import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { content } from '../content.fixture.ts'
import { fileLeases } from './leases.ts'
import { kill, otherProcess, temporaryFolder } from './temporary-store.fixture.ts'

it('a lease keeps other processes out until its holder lets go', async () => {
  const dir = temporaryFolder(onTestFinished)
  await using _ = await fileLeases(dir).hold('build')
  const child = await otherProcess(
    dir,
    `if (await fileLeases(dir).tryHold('build')) throw new Error('two hold it')`,
    onTestFinished,
  )
  await kill(child)
})

it('a lease dies with its holder, however that ends, and says who it was meanwhile', async () => {
  const dir = temporaryFolder(onTestFinished)
  const holder = await otherProcess(
    dir,
    `globalThis.lease = await fileLeases(dir).hold('build', { note: 'pid 7' })`,
    onTestFinished,
  )
  const leases = fileLeases(dir)
  expect(await leases.tryHold('build')).toBeUndefined()
  const { promise: told, resolve: onWait } = Promise.withResolvers<string>()
  const waiting = leases.hold('build', { onWait })
  expect(await told).toBe('pid 7')
  await kill(holder)
  await (await waiting)[Symbol.asyncDispose]()
})

it('a waiter on another process can give up', async () => {
  const dir = temporaryFolder(onTestFinished)
  await otherProcess(dir, `globalThis.lease = await fileLeases(dir).hold('build')`, onTestFinished)
  const control = new AbortController()
  const waiting = fileLeases(dir).hold('build', {
    signal: control.signal,
    onWait: () => control.abort(new Error('enough')),
  })
  await expect(waiting).rejects.toThrow('enough')
})

it('many processes count without losing one', async () => {
  const dir = temporaryFolder(onTestFinished)
  const body = `
    const { readFileSync, writeFileSync } = await import('node:fs')
    const leases = fileLeases(dir + '/locks')
    for (let i = 0; i < 25; i++) {
      await using _ = await leases.hold('counter', { note: 'x' })
      let count = 0
      try { count = Number(readFileSync(dir + '/count', 'utf8')) } catch {}
      await new Promise((wake) => setImmediate(wake))
      writeFileSync(dir + '/count', String(count + 1))
    }`
  await Promise.all([1, 2, 3, 4].map(() => otherProcess(dir, body, onTestFinished)))
  const { readFileSync } = await import('node:fs')
  expect(readFileSync(join(dir, 'count'), 'utf8')).toBe('100')
  expect(readdirSync(join(dir, 'locks'))).toEqual([])
})

it('makes its folder when it is first needed', async () => {
  const folder = join(temporaryFolder(onTestFinished), 'not', 'there')
  const leases = fileLeases(folder)
  expect(existsSync(folder)).toBe(false)
  await using _ = await leases.hold('a')
  expect(readdirSync(folder)).toEqual(['a'])
})

it('a lock file that something else wrote to locks again', async () => {
  const folder = temporaryFolder(onTestFinished)
  writeFileSync(join(folder, 'a'), content(5_000, 1))
  const leases = fileLeases(folder)
  await using _ = await leases.hold('a')
  expect(await fileLeases(folder).tryHold('a')).toBeUndefined()
  expect(statSync(join(folder, 'a')).size).toBe(0)
})
