import { closeSync, openSync, readSync } from 'node:fs'
import { node } from './place.ts'

/** Bytes as build outputs are: of a program, which compress to about a third. */
export function content(bytes: number): Buffer {
  const file = openSync(node, 'r')
  try {
    const read = Buffer.alloc(bytes)
    if (readSync(file, read, 0, bytes, 1 << 22) !== bytes) throw new Error(`${node} has less than ${bytes} bytes`)
    return read
  } finally {
    closeSync(file)
  }
}
