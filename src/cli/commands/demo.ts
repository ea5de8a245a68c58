import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CacheError } from '../../errors.ts'
import { formatDuration } from '../../units/duration.ts'
import { formatSize } from '../../units/size.ts'
import { defineCommand } from '../command.ts'
import { cProject } from '../demo/c-project.ts'
import type { DemoProject } from '../demo/project.ts'
import { type DemoResult, type DemoStep, demoSteps } from '../demo/steps.ts'
import { typescriptProject } from '../demo/typescript-project.ts'
import type { Stream } from '../output.ts'
import { oneLine, table } from '../table.ts'

const OPTIONS = {
  keep: { kind: 'flag', summary: 'Leave the project and its cache where they are, to look at.' },
} as const

export const command = defineCommand({
  name: 'demo',
  summary: 'See a real project built, cleaned and replayed',
  usage: ['demo [--keep]'],
  description:
    'Builds something that is on this machine already, in a temporary folder with a cache of its own, and measures: the ' +
    'bare command, the first run, and what happens when it is asked for again. Needs no network and leaves nothing behind.\n' +
    'With --json: { title, command, steps: [{ name, status, reason, durationMs, times }], outputs: { files, bytes }, isSame }.',
  options: OPTIONS,
  arguments: { min: 0, max: 0 },
  exits: [{ code: 1, means: 'What was restored is not what was built.' }],
  async run(context) {
    const { environment, cwd, options, signal, output } = context
    const project = typescriptProject(cwd) ?? cProject(environment.PATH ?? '') ?? nothingToBuild()
    const base = mkdtempSync(join(realpathSync(tmpdir()), 'recue-demo-'))
    const shop = { project, folder: join(base, 'project'), cacheDir: join(base, 'cache'), environment, signal }
    try {
      mkdirSync(shop.folder)
      project.make(shop.folder)
      if (!options.json) introduce(output.stdout, project)
      const progress = progressOn(output.stderr)
      const result = await demoSteps({ ...shop, onStep: progress.show })
      progress.done()
      if (options.json) output.json({ title: project.title, command: project.argv, ...result })
      else print(output.stdout, project, result)
      if (options.keep && !options.json) output.stdout.line(`\nThe project is in ${oneLine(shop.folder)}.`)
      return result.isSame ? 0 : 1
    } finally {
      if (!options.keep) rmSync(base, { recursive: true, force: true })
    }
  },
})

function nothingToBuild(): never {
  throw new CacheError('usage', 'There is nothing here that the demo could build.', {
    hint: 'It needs a C compiler (cc), or a folder with TypeScript and Zod installed.',
  })
}

function introduce(stdout: Stream, { title, argv, inputs, output }: DemoProject): void {
  const { paint } = stdout.terminal
  const line = ['recue run', ...inputs.map((input) => `-i ${input}`), `-o ${output} --`, ...argv].join(' ')
  stdout.line(paint('bold', title))
  stdout.line(`${paint('dim', '$')} ${line}`)
  stdout.line()
}

/** One line that goes away, and only where somebody watches. */
function progressOn(stderr: Stream): { show(name: string): void; done(): void } {
  const { isTerminal, paint } = stderr.terminal
  if (!isTerminal) return { show() {}, done() {} }
  const erase = '\r\x1b[K'
  return { show: (name) => stderr.write(`${erase}${paint('dim', `  ${name} …`)}`), done: () => stderr.write(erase) }
}

function print(stdout: Stream, { output }: DemoProject, { steps, outputs, isSame }: DemoResult): void {
  const { paint } = stdout.terminal
  const bareMs = steps[0]?.durationMs ?? 0
  const columns = [{ title: '' }, { title: '', align: 'right' as const }, { title: '' }, { title: '', flexible: true }]
  const rows = steps.map((step) => [
    step.name,
    formatDuration(step.durationMs),
    step.status ?? '',
    remark(step, bareMs),
  ])
  for (const line of table(columns, rows, stdout.terminal)) stdout.line(`  ${line}`)
  stdout.line()
  const what = `${outputs.files} files (${formatSize(outputs.bytes)}) in ${output}/`
  if (isSame) stdout.line(`${what}: what was restored is what was built, byte for byte.`)
  else stdout.line(paint('red', `${what}: what was restored is not what was built. Please report it.`))
  stdout.line(paint('dim', 'Times are of whole processes, start included; medians where a step was repeated.'))
}

function remark({ status, durationMs, reason }: DemoStep, bareMs: number): string {
  if (status === 'hit') return `${Math.floor(bareMs / durationMs)} times as fast`
  return status === undefined ? '' : (reason ?? '')
}
