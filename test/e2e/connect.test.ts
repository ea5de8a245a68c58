import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TOOLS } from '../../src/connect/tools.ts'
import { call } from './clients/calls.ts'
import { npmTools } from './clients/npm-tools.ts'
import { runtimes } from './runtimes.ts'
import { serveStore, WRITE_TOKEN } from './served.ts'

/** `recue connect TOOL --check` with the tools themselves, as far as they are there. */
let folder: string
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'recue-e2e-connect-'))
  symlinkSync(npmTools, path.join(folder, 'node_modules'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Checked {
  readonly status: string
  readonly findings: readonly { readonly name: string; readonly status: string; readonly what: string }[]
}

describe.each(runtimes)('checked by $name', (runtime) => {
  test.each(TOOLS.filter(({ trial }) => trial !== undefined).map(({ name }) => name))('%s', async (name) => {
    await using server = await serveStore(runtime, mkdtempSync(path.join(folder, 'cache-')))
    const [program = '', ...before] = runtime.argv
    const words = [...before, 'connect', name, '--server', server.url, '--check', '--json']
    const { stdout, stderr } = await call(folder, program, words, { RECUE_TOKEN: WRITE_TOKEN })
    const { status, findings } = JSON.parse(stdout) as Checked
    expect({ status, findings }, stderr).toMatchObject({ status: 'ok' })
    const last = findings.at(-1)
    expect(last?.name).toBe(name)
    if (last?.status === 'skip') console.log(`skipped: ${last.what} (${name})`)
    else expect(last).toMatchObject({ status: 'ok', what: expect.stringContaining('the second was a hit') })
  })
})
