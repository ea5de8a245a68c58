import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Bench } from '../../fixtures/commands.ts'

/** Where TypeScript and Zod would be: a compiler that copies. */
function installed(bench: Bench): void {
  const modules = join(bench.root, 'node_modules')
  for (const folder of ['zod/src/v4', 'typescript', '.bin']) mkdirSync(join(modules, folder), { recursive: true })
  for (const name of ['zod', 'typescript']) writeFileSync(join(modules, name, 'package.json'), '{ "version": "1.2.3" }')
  for (const name of ['index.ts', 'v4/core.ts']) writeFileSync(join(modules, 'zod/src', name), name)
  writeFileSync(join(modules, '.bin/tsc'), '#!/bin/sh\nmkdir -p dist && cp -r src/. dist/\n')
  chmodSync(join(modules, '.bin/tsc'), 0o755)
}

test('the demo builds, replays, compares, and leaves nothing behind', { timeout: 60_000 }, async () => {
  using bench = new Bench()
  installed(bench)
  mkdirSync(join(bench.base, 'tmp'))
  const { code, stdout, stderr } = await bench.recue(['demo', '--json'], { TMPDIR: join(bench.base, 'tmp') })
  expect(stderr).toBe('')
  expect(code).toBe(0)
  const { title, steps, outputs, isSame } = JSON.parse(stdout)
  expect(title).toBe('Zod 1.2.3, compiled by TypeScript 1.2.3')
  expect(steps.map(({ status }: { status?: string }) => status)).toEqual([undefined, 'miss', 'hit', 'hit', 'miss'])
  expect(steps[4]).toMatchObject({ reason: 'src/index.ts changed' })
  expect(outputs).toEqual({ files: 2, bytes: 18 })
  expect(isSame).toBe(true)
  expect(readdirSync(join(bench.base, 'tmp'))).toEqual([])
  expect(readdirSync(bench.base).sort()).toEqual(['project', 'tmp'])
})
