import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { attach, startToGate, type Traced, type TracedEnd } from './system-calls.ts'

/** What a process did to the files below a folder, in order. Paths are relative to it. */
export type Write =
  | { readonly kind: 'make'; readonly path: string; readonly isFolder: boolean }
  | { readonly kind: 'bytes'; readonly path: string; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: 'cut'; readonly path: string; readonly length: number }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string }
  | { readonly kind: 'unlink'; readonly path: string }
  /** Of a file's content or, for a folder, of the names in it. */
  | { readonly kind: 'sync'; readonly path: string }
  | { readonly kind: 'said'; readonly line: string }

const TRACE =
  'trace=openat,close,write,pwrite64,writev,pwritev,?pwritev2,ftruncate,rename,unlink,mkdir,fsync,fdatasync,?rmdir'

/** Runs it behind its gate, and what it wrote below `folder` meanwhile; memory that it maps is not seen. */
export async function recordWrites(traced: Traced, folder: string): Promise<{ writes: Write[]; end: TracedEnd }> {
  const logs = mkdtempSync(join(tmpdir(), 'recue-writes-'))
  try {
    const parser = new Parser(folder)
    await using held = await startToGate(traced)
    // A file for each thread, and so all of the threads.
    const files = ['-ff', '-o', join(logs, 'log'), '-p', `${held.main}`]
    const strace = await attach(['-ttt', '-xx', '-s', '4000000', '-e', TRACE, ...files], 1)
    held.open()
    const end = await held.ended
    await strace.output
    return { writes: parser.parse(linesOf(logs)), end }
  } finally {
    rmSync(logs, { recursive: true })
  }
}

/** Of all threads, by time. */
function linesOf(logs: string): string[] {
  const lines = readdirSync(logs).flatMap((name) => readFileSync(join(logs, name), 'latin1').split('\n'))
  return lines.filter((line) => / = \d/.test(line)).sort((a, b) => Number.parseFloat(a) - Number.parseFloat(b))
}

class Parser {
  readonly #folder: string
  readonly #open = new Map<number, { path: string; at: number }>()
  readonly #writes: Write[] = []
  readonly #known = new Set<string>()

  constructor(folder: string) {
    this.#folder = `${folder}/`
    for (const entry of readdirSync(folder, { recursive: true })) this.#known.add(String(entry))
  }

  parse(lines: readonly string[]): Write[] {
    for (const line of lines) {
      const match = /^[\d.]+ (\w+)\((.*)\) += (\d+)/.exec(line)
      if (match !== null) this.#call(match[1] as string, match[2] as string, Number(match[3]))
    }
    return this.#writes
  }

  #call(name: string, args: string, result: number): void {
    const strings = [...args.matchAll(/"((?:\\x..)*)"/g)].map(([, hex]) =>
      Buffer.from((hex as string).replaceAll('\\x', ''), 'hex'),
    )
    if (name === 'openat') this.#opened(this.#below(strings[0]), args, result)
    else if (name === 'mkdir') this.#made(this.#below(strings[0]), true)
    else if (name === 'unlink') this.#push(this.#below(strings[0]), (path) => ({ kind: 'unlink', path }))
    else if (name === 'rename') this.#renamed(this.#below(strings[0]), this.#below(strings[1]))
    else this.#onFile(name, args, Buffer.concat(strings).subarray(0, result))
  }

  #opened(path: string | undefined, args: string, file: number): void {
    this.#open.delete(file)
    if (path === undefined) return
    this.#open.set(file, { path, at: 0 })
    if (args.includes('O_CREAT')) this.#made(path, false)
    if (args.includes('O_TRUNC')) this.#writes.push({ kind: 'cut', path, length: 0 })
  }

  #made(path: string | undefined, isFolder: boolean): void {
    if (path === undefined || this.#known.has(path)) return
    this.#known.add(path)
    this.#writes.push({ kind: 'make', path, isFolder })
  }

  #renamed(path: string | undefined, to: string | undefined): void {
    if (path === undefined || to === undefined) return
    this.#known.delete(path)
    this.#known.add(to)
    this.#writes.push({ kind: 'rename', path, to })
    for (const open of this.#open.values()) if (open.path === path) open.path = to
  }

  #onFile(name: string, args: string, bytes: Buffer): void {
    const [number, last] = [Number.parseInt(args, 10), Number(args.slice(args.lastIndexOf(',') + 1))]
    if (name === 'write' && number === 1) this.#writes.push({ kind: 'said', line: bytes.toString().trim() })
    const open = this.#open.get(number)
    if (open === undefined) return
    const { path } = open
    if (name === 'close') this.#open.delete(number)
    else if (name === 'ftruncate') this.#writes.push({ kind: 'cut', path, length: last })
    else if (name === 'fsync' || name === 'fdatasync') this.#writes.push({ kind: 'sync', path })
    else {
      const isAt = name.startsWith('p')
      this.#writes.push({ kind: 'bytes', path, offset: isAt ? last : open.at, bytes })
      if (!isAt) open.at += bytes.length
    }
  }

  #push(path: string | undefined, write: (path: string) => Write): void {
    if (path === undefined) return
    this.#known.delete(path)
    this.#writes.push(write(path))
  }

  #below(bytes: Buffer | undefined): string | undefined {
    const path = bytes?.toString() ?? ''
    if (`${path}/` === this.#folder) return '.'
    return path.startsWith(this.#folder) ? path.slice(this.#folder.length) : undefined
  }
}
