import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createCipheriv } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'

export interface Called {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program with a home in `cwd`, unless `env` names another, beside whoever answers it meanwhile. */
export async function call(
  cwd: string,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Called> {
  const quiet = { DO_NOT_TRACK: '1', NO_COLOR: '1', CI: '1', HOME: cwd }
  const child = spawn(program, args, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
    env: { PATH: `${path.dirname(process.execPath)}:${process.env.PATH}`, ...quiet, ...env },
  })
  const ended = new Promise<number | null>((resolve, reject) => child.once('close', resolve).once('error', reject))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { status: await ended, stdout, stderr }
}

/** Undefined where all are there. */
export function missingProgram(...programs: readonly string[]): string | undefined {
  const missing = programs.find((program) => spawnSync(program, ['--version']).error !== undefined)
  return missing && `${missing} is not installed`
}

export function writeFiles(root: string, files: Readonly<Record<string, string>>): void {
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
    writeFileSync(path.join(root, file), content)
  }
}

/** What was made is there, whole; by us, or by another run of these tests that was faster. */
export function putInPlace(made: string, place: string): void {
  try {
    renameSync(made, place)
  } catch (error) {
    rmSync(made, { recursive: true, force: true })
    if (!existsSync(place)) throw error
  }
}

/** For tools that want a repository. */
export function commitAll(root: string): void {
  const git = (...words: string[]) => execFileSync('git', words, { cwd: root, stdio: 'ignore' })
  git('init', '-q', '-b', 'main')
  git('add', '-A')
  git('-c', 'user.name=t', '-c', 'user.email=t@localhost', 'commit', '-q', '-m', 'All')
}

/** A text of 2 MB that hardly compresses: what a store keeps in a file of its own and sends as a stream. */
export const LARGE: string = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16))
  .update(Buffer.alloc(1_500_000))
  .toString('base64')

export const json = (value: unknown): string => JSON.stringify(value, null, 2)

export function countOf(text: string, pattern: RegExp): number {
  return text.match(new RegExp(pattern, `${pattern.flags}g`))?.length ?? 0
}

/** The number that the pattern's first group finds, 0 where it finds nothing. */
export function numberIn(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? 0)
}
