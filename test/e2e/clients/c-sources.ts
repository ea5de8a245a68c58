import { chmodSync, existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { writeFiles } from './calls.ts'

const SCRIPT = '#!/bin/sh\ncase " $* " in *" -E "*) ;; *" b.c "*) . ./during.sh ;; esac\nexec gcc "$@"\n'

export const OBJECTS = ['a.o', 'b.o', 'c.o'] as const

/** Three files of C, compiled one after another. */
export function writeSources(root: string, during: string): void {
  writeFiles(root, {
    'a.c': 'int a(void) { return 1; }\n',
    'b.c': 'int a(void);\nint b(void) { return a() + 1; }\n',
    'c.c': 'int b(void);\nint c(void) { return b() + 1; }\n',
    'during.sh': `${during}\n`,
  })
}

let folder: string | undefined

/** gcc, which before it compiles the second file runs what the checkout says. The same file for all, as a compiler is. */
export function compiler(): string {
  folder ??= mkdtempSync(path.join(os.tmpdir(), 'recue-e2e-gcc-'))
  const file = path.join(folder, 'gcc')
  if (!existsSync(file)) {
    writeFileSync(file, SCRIPT)
    chmodSync(file, 0o755)
  }
  return file
}

/** A line of shell that compiles each file by `command`, and goes on after nothing but success. */
export function compileAll(command: string): string {
  return OBJECTS.map((object) => `${command} -c ${object.replace('.o', '.c')} -o ${object}`).join(' && ')
}
