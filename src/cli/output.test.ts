import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const OUTPUT = fileURLToPath(new URL('./output.ts', import.meta.url))
const LENGTH = 5_000_000

/** A process that has made its own standard output non-blocking, as any that looks at `process.stdout` does. */
function writer(write: string) {
  const source = `
    process.stdout._handle?.setBlocking?.(false)
    const output = await import(${JSON.stringify(OUTPUT)})
    const bytes = Buffer.alloc(${LENGTH}, 'x')
    ${write}
    process.exit(0)`
  return spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] })
}

test.each(['output.writeAll(1, bytes)', 'await output.writeAllWaiting(1, bytes)'])(
  '%s: all bytes arrive through a slow, non-blocking pipe before the process ends',
  async (write) => {
    let length = 0
    for await (const chunk of writer(write).stdout) {
      length += (chunk as Buffer).length
      await new Promise(setImmediate)
    }
    expect(length).toBe(LENGTH)
  },
)

test.each([
  ['output.writeAll(1, bytes)', 0],
  // Whoever passes on a command's output must hear of it.
  ["await output.writeAllWaiting(1, bytes).catch((error) => process.exit(error.code === 'EPIPE' ? 9 : 1))", 9],
])('%s: a reader that goes away', async (write, code) => {
  const child = writer(write)
  const ended = new Promise<number | null>((end) => child.once('close', (code) => end(code)))
  child.stdout.destroy()
  expect(await ended).toBe(code)
})
