import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { DemoProject } from './project.ts'

const FILES = 16
const FUNCTIONS = 40

/** A small C program, generated and compiled by the machine's compiler; undefined where there is none. */
export function cProject(searchPath: string): DemoProject | undefined {
  if (process.platform === 'win32' || !isProgram('cc', searchPath) || !isProgram('sh', searchPath)) return undefined
  return {
    title: `A C program of ${FILES} files, compiled by cc -O2`,
    argv: ['sh', 'build.sh'],
    inputs: ['src', 'build.sh'],
    output: 'out',
    touched: { path: 'src/part0.c', line: 'int changed = 1;' },
    path: [],
    make(folder) {
      mkdirSync(join(folder, 'src'))
      for (let file = 0; file < FILES; file++) writeFileSync(join(folder, 'src', `part${file}.c`), partOf(file))
      writeFileSync(join(folder, 'src', 'main.c'), mainFile())
      writeFileSync(join(folder, 'build.sh'), BUILD)
    },
  }
}

const BUILD = `set -e
mkdir -p out
for file in src/*.c; do
  name=\${file##*/}
  cc -O2 -c "$file" -o "out/\${name%.c}.o"
done
cc out/*.o -o out/program
`

/** Loops that an optimiser has something to do with. */
function partOf(file: number): string {
  const functions = Array.from(
    { length: FUNCTIONS },
    (_, i) => `unsigned f${file}_${i}(unsigned n) {
  unsigned table[64], sum = ${file * FUNCTIONS + i};
  for (unsigned k = 0; k < 64; k++) table[k] = k * k + n;
  for (unsigned k = 0; k < n; k++) sum = sum * 31 + table[(sum >> 3) & 63] % (k + ${i + 1});
  return sum;
}
`,
  )
  return functions.join('\n')
}

function mainFile(): string {
  const calls = Array.from({ length: FILES }, (_, file) => ({ name: `f${file}_0` }))
  return `#include <stdio.h>
${calls.map(({ name }) => `unsigned ${name}(unsigned n);`).join('\n')}
int main(void) {
  printf("%u\\n", ${calls.map(({ name }) => `${name}(1000)`).join(' ^ ')});
  return 0;
}
`
}

function isProgram(name: string, searchPath: string): boolean {
  return searchPath.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
