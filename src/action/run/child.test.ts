import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ChildRequest, runChild } from './child.ts'
import type { StreamName } from './stream-order.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'recue-child-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

interface Heard {
  readonly stream: StreamName
  readonly bytes: Buffer
}

function shell(script: string, more: Partial<ChildRequest> = {}) {
  return command(['/bin/sh', '-c', script], more)
}

function node(script: string, more: Partial<ChildRequest> = {}) {
  return command([process.execPath, '-e', script], more)
}

async function command(argv: readonly string[], more: Partial<ChildRequest> = {}) {
  const heard: Heard[] = []
  const end = await runChild({
    program: argv[0] as string,
    argv,
    cwd: folder,
    variables: { PATH: process.env.PATH ?? '' },
    onOutput: (stream, chunk) => {
      heard.push({ stream, bytes: Buffer.from(chunk) })
    },
    ...more,
  })
  const of = (name: StreamName) =>
    Buffer.concat(heard.filter(({ stream }) => stream === name).map(({ bytes }) => bytes))
  return { ...end, heard, stdout: of('stdout'), stderr: of('stderr') }
}

/** Waits for a fact about the world that no event tells. */
async function until(isTrue: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !isTrue(); i++) await new Promise((wake) => setTimeout(wake, 25))
  expect(isTrue()).toBe(true)
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

function isAsleep(pid: number): boolean {
  try {
    return /^State:\s+S/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

function readNumber(name: string): number {
  try {
    return Number(readFileSync(join(folder, name), 'utf8').trim())
  } catch {
    return 0
  }
}

describe('a child', () => {
  test('gives its own exit code', async () => {
    expect(await shell('exit 7')).toMatchObject({
      exitCode: 7,
      endedBy: 'exit',
      leftBehind: false,
      wasInterrupted: false,
    })
  })

  test('that a signal ends gives 128 and its number', async () => {
    expect(await shell('kill -TERM $$')).toMatchObject({ exitCode: 143, endedBy: 'signal' })
    expect(await shell('kill -KILL $$')).toMatchObject({ exitCode: 137, endedBy: 'signal' })
  })

  test('has an empty standard input', async () => {
    expect((await shell('cat; echo done')).stdout.toString()).toBe('done\n')
  })

  test('reads the standard input it is given, byte for byte', async () => {
    const stdin = Buffer.from([0, 255, 10, 13, 128])
    expect((await shell('cat', { stdin })).stdout).toEqual(stdin)
  })

  test('may ignore its input', async () => {
    expect((await shell('exit 0', { stdin: Buffer.alloc(1 << 20) })).exitCode).toBe(0)
  })

  test('gets the environment it is given and nothing else', async () => {
    const { stdout } = await command(['/usr/bin/env'], { variables: { ONLY: 'this' } })
    expect(stdout.toString()).toBe('ONLY=this\n')
  })

  test('sees its first word as its name', async () => {
    const { stdout } = await command(['a name', '-c', 'echo "$0"'], { program: '/bin/sh' })
    expect(stdout.toString()).toBe('a name\n')
  })

  test('runs in its folder', async () => {
    writeFileSync(join(folder, 'here'), 'yes')
    expect((await shell('cat here')).stdout.toString()).toBe('yes')
  })
})

describe('a command that cannot be started', () => {
  test('is not found', async () => {
    await expect(command(['/no/such/program'])).rejects.toMatchObject({ code: 'command.not-found' })
  })

  test('is not executable', async () => {
    const program = join(folder, 'text')
    writeFileSync(program, 'hello')
    await expect(command([program])).rejects.toMatchObject({ code: 'command.not-executable' })
  })
})

describe('output', () => {
  test('of 20 MB arrives whole at a slow reader, who holds the child back', async () => {
    let pending = 0
    let most = 0
    let bytes = 0
    const end = await node(
      `const b = Buffer.alloc(1 << 20, 'x'); for (let i = 0; i < 20; i++) require('fs').writeSync(1, b)`,
      {
        onOutput: async (_stream, chunk) => {
          most = Math.max(most, ++pending)
          await new Promise((wake) => setImmediate(wake))
          bytes += chunk.byteLength
          pending--
        },
      },
    )
    expect(end.exitCode).toBe(0)
    expect(bytes).toBe(20 << 20)
    expect(most).toBe(1)
  })

  test('that nobody takes stops the child in its write', async () => {
    let isFree = false
    const run = node(
      `const fs = require('fs'); fs.writeFileSync('pid', String(process.pid)); const b = Buffer.alloc(1 << 20);
       for (let i = 0; i < 20; i++) fs.writeSync(1, b); fs.writeFileSync('all', '')`,
      { onOutput: () => (isFree ? undefined : until(() => isFree).then(() => undefined)) },
    )
    await until(() => readNumber('pid') > 0)
    let idle = 0
    await until(() => {
      idle = isAsleep(readNumber('pid')) ? idle + 1 : 0
      return idle >= 10
    })
    expect(existsSync(join(folder, 'all'))).toBe(false)
    isFree = true
    expect((await run).exitCode).toBe(0)
    expect(existsSync(join(folder, 'all'))).toBe(true)
  })

  test('is binary', async () => {
    const { stdout } = await node(`process.stdout.write(Buffer.from(Array.from({ length: 256 }, (_, i) => i)))`)
    expect([...stdout]).toEqual(Array.from({ length: 256 }, (_, i) => i))
  })

  test('keeps the order between the streams as received', async () => {
    const { heard } = await shell('for i in 1 2 3 4 5; do echo o$i; sleep 0.02; echo e$i >&2; sleep 0.02; done')
    expect(heard.map(({ bytes }) => bytes.toString()).join('')).toBe(
      [1, 2, 3, 4, 5].map((i) => `o${i}\ne${i}\n`).join(''),
    )
  })

  test('of a process left in the background does not hold the run for ever', async () => {
    const end = await shell('echo before; sleep 300 & echo $! > pid; exit 3')
    expect(end).toMatchObject({ exitCode: 3, leftBehind: true })
    expect(end.stdout.toString()).toBe('before\n')
    expect(end.durationMs).toBeLessThan(8_000)
    process.kill(readNumber('pid'))
  })

  test('of a process that outlives the command by little is heard', async () => {
    const end = await shell('(sleep 0.3; echo late) & exit 0')
    expect(end).toMatchObject({ leftBehind: false })
    expect(end.stdout.toString()).toBe('late\n')
  })
})

describe('output through', () => {
  const temporary = process.env.TMPDIR
  afterEach(() => {
    if (temporary === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = temporary
  })
  const ways = [
    { name: 'pipes', prepare: () => mkdirSync(join(folder, 'tmp')) },
    { name: 'sockets, where there is no temporary folder,', prepare: () => {} },
  ]

  describe.each(ways)('$name', ({ name, prepare }) => {
    beforeEach(() => {
      process.env.TMPDIR = join(folder, 'tmp')
      prepare()
    })

    test('that nobody reads any more ends its writer', async () => {
      let taken = 0
      await shell('yes; echo $? > status', {
        onOutput: (stream) => {
          if (stream === 'stdout') taken++
          return 'gone'
        },
      })
      expect(taken).toBe(1)
      // By SIGPIPE; a write to a socket that was closed with something unread in it fails with "connection reset" instead.
      expect(name === 'pipes' ? [141] : [141, 1]).toContain(readNumber('status'))
    })

    test('leaves no handle behind when the command cannot be started', async () => {
      const before = readdirSync('/proc/self/fd').length
      for (let i = 0; i < 3; i++)
        await expect(command(['/no/such/program'])).rejects.toMatchObject({ code: 'command.not-found' })
      // A socket is closed in the next turn.
      await until(() => readdirSync('/proc/self/fd').length <= before)
    })

    test('carries the standard input as well', async () => {
      const stdin = Buffer.alloc(1 << 20, 'x')
      expect((await shell('cat', { stdin })).stdout).toEqual(stdin)
    })

    test('leaves no handle and no file behind', async () => {
      const before = readdirSync('/proc/self/fd').length
      await shell('echo out; echo err >&2', { stdin: Buffer.from('in') })
      await until(() => readdirSync('/proc/self/fd').length <= before)
      if (existsSync(join(folder, 'tmp'))) expect(readdirSync(join(folder, 'tmp'))).toEqual([])
    })
  })

  test('pipes is opened again by its path', async () => {
    const script = 'echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdin >> /dev/stdout'
    const { stdout, stderr, exitCode } = await shell(script, { stdin: Buffer.from('in\n') })
    expect({ stdout: stdout.toString(), stderr: stderr.toString(), exitCode }).toEqual({
      stdout: 'out\nin\n',
      stderr: 'err\n',
      exitCode: 0,
    })
  })

  test('one pipe that nobody reads any more leaves the other as it is', async () => {
    const heard: string[] = []
    const { exitCode } = await shell('trap "" PIPE; echo out; sleep 0.1; echo more; echo err >&2; exit 3', {
      onOutput: (stream, chunk) => {
        heard.push(`${stream} ${Buffer.from(chunk)}`)
        return stream === 'stdout' ? 'gone' : undefined
      },
    })
    expect(exitCode).toBe(3)
    // The shell says of the second echo that its pipe is broken.
    expect(heard.filter((chunk) => chunk.startsWith('stdout'))).toEqual(['stdout out\n'])
    expect(heard.join('')).toContain('err\n')
  })
})

describe('ending a child', () => {
  test('a timeout ends it and all it started, with exit 124', async () => {
    const end = await shell('sleep 300 & echo $! > pid; wait', { timeoutMs: 300, graceMs: 2_000 })
    expect(end).toMatchObject({ exitCode: 124, endedBy: 'timeout' })
    expect(isRunning(readNumber('pid'))).toBe(false)
  })

  test('one that ignores SIGTERM is killed after the grace', async () => {
    const end = await shell('trap "" TERM; echo $$ > pid; while :; do sleep 0.1; done', {
      timeoutMs: 300,
      graceMs: 200,
    })
    expect(end).toMatchObject({ exitCode: 124 })
    expect(isRunning(readNumber('pid'))).toBe(false)
  })

  test('an abort ends it and rejects with the reason', async () => {
    const abort = new AbortController()
    const run = shell('echo $$ > pid; sleep 300', { signal: abort.signal })
    await until(() => readNumber('pid') > 0)
    abort.abort(new Error('enough'))
    await expect(run).rejects.toThrow('enough')
    expect(isRunning(readNumber('pid'))).toBe(false)
  })

  test('one that is told to end by a signal to this process gets it, and is waited for', async () => {
    const run = shell('trap "echo got it; exit 5" TERM; echo $$ > pid; while :; do sleep 0.05; done', {
      hostSignals: true,
    })
    await until(() => readNumber('pid') > 0)
    process.kill(process.pid, 'SIGTERM')
    const end = await run
    expect(end).toMatchObject({ exitCode: 5, wasInterrupted: true })
    expect(end.stdout.toString()).toBe('got it\n')
    expect(process.listenerCount('SIGTERM')).toBe(0)
  })
})
