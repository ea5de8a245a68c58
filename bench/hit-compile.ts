import { rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Benchmark, type BenchOptions, type Row, rowOf, runAlone, scaled, skippedRow } from './benchmark.ts'
import { installed } from './installed.ts'
import { type Contender, once, pairedRuns } from './paired-runs.ts'
import { alone, executable, inPlace, primed } from './place.ts'

const what = 'hit, one C file with all its headers as inputs'

/** One compile against ccache in direct mode, which reads the same source and headers. */
export const hitCompile: Benchmark = {
  name: 'hit-compile',
  run: async (options) => {
    const absent = ['gcc', 'ccache'].filter((program) => !installed(program))
    if (absent.length > 0) return [skippedRow(what, `${absent.join(', ')} is not installed`)]
    return inPlace('hit-compile', (folder) => measure(folder, options))
  },
}

const source = `#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <errno.h>
#include <time.h>
#include <sys/types.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <pthread.h>
int main(int argc, char **argv) { printf("%d %s %f\\n", argc, argv[0], sqrt(argc)); return 0; }
`

function measure(folder: string, options: BenchOptions): Row[] {
  writeFileSync(path.join(folder, 'main.c'), source)
  const compile = ['gcc', '-O2', '-c', 'main.c', '-o', 'main.o']
  writeFileSync(path.join(folder, 'headers.txt'), `${headers(folder).join('\n')}\n`)
  const env = { ...alone(folder), CCACHE_DIR: path.join(folder, 'ccache') }
  const prepare = () => rmSync(path.join(folder, 'main.o'), { force: true })
  const cached = ['run', '--root', '/', '-i', 'main.c', '-i', '@headers.txt', '-o', 'main.o', '--', ...compile]
  const contenders: Contender[] = [
    primed({
      name: 'executable',
      argv: [executable, ...cached],
      cwd: folder,
      env,
      prepare,
    }),
    { name: 'ccache, direct', argv: ['ccache', ...compile], cwd: folder, env, prepare },
    { name: 'gcc', argv: ['gcc', ...compile.slice(1)], cwd: folder, env, prepare },
  ]
  for (const contender of contenders) once(contender)
  const [ours, ccache, gcc] = pairedRuns(contenders, scaled(41, options, 3))
  if (!ours || !ccache || !gcc) throw new Error('a contender has no times')
  return [rowOf(what, ours, ccache, 1), rowOf(what, ours, gcc)]
}

/** As gcc lists them, system headers included; relative, as `-i` wants them. */
function headers(folder: string): string[] {
  const rule = once({ name: 'gcc -M', argv: ['gcc', '-M', 'main.c'], cwd: folder })
  const files = rule.replaceAll('\\\n', ' ').split(/\s+/).slice(1)
  return files.filter((file) => file.startsWith('/')).map((file) => path.relative(folder, path.resolve(file)))
}

if (import.meta.main) await runAlone(hitCompile)
