import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { installed } from '../../bench/installed.ts'
import { type RealProject, realProjects } from './real-project.ts'
import { type Runtime, runtimes, type Sandbox, sandbox } from './runtimes.ts'
import { skipIf } from './skip-if.ts'
import { treeState, writeTimes } from './tree-state.ts'

for (const runtime of runtimes) {
  describe(`on ${runtime.name}`, () => {
    for (const project of realProjects) {
      test(project.name, async (context) => {
        const absent = project.needs.filter((program) => !installed(program))
        skipIf(absent.length > 0 && `${absent.join(', ')} is not installed`, context)
        await using box = sandbox('project')
        lifeOf(project, runtime, box)
      })
    }
  })
}

function lifeOf(project: RealProject, runtime: Runtime, box: Sandbox): void {
  const folder = path.join(box.folder, 'project')
  mkdirSync(folder)
  mkdirSync(box.home)
  project.write(folder)
  const ask = () => box.run(runtime, [...flags(project), '--', ...project.command])
  const clean = () => {
    for (const output of project.outputs) rmSync(path.join(folder, output), { recursive: true, force: true })
  }

  // What a real run leaves, without recue.
  bare(project, folder)
  const built = treeState(folder, project.outputs)
  clean()

  const cold = ask()
  expect(cold.report, cold.stderr).toMatchObject({ status: 'miss', exitCode: 0 })
  expect(treeState(folder, project.outputs)).toEqual(built)

  clean()
  const deleted = ask()
  expect(deleted.report, deleted.stderr).toMatchObject({ status: 'hit', exitCode: 0 })
  expect(treeState(folder, project.outputs)).toEqual(built)
  expect(deleted.stdout).toBe(cold.stdout)

  const times = writeTimes(folder, project.outputs)
  const intact = ask()
  expect(intact.report, intact.stderr).toMatchObject({ status: 'hit', exitCode: 0 })
  expect(writeTimes(folder, project.outputs)).toEqual(times)

  const input = path.join(folder, project.changed.file)
  utimesSync(input, new Date(), new Date(Date.now() + 5_000))
  expect(ask().report).toMatchObject({ status: 'hit' })

  const original = readFileSync(input)
  appendFileSync(input, project.changed.append)
  const changed = ask()
  expect(changed.report, changed.stderr).toMatchObject({ status: 'miss', exitCode: 0 })
  const rebuilt = treeState(folder, project.outputs)
  if (project.outputs.length > 0) expect(rebuilt).not.toEqual(built)

  // There and back: each content has its own result.
  writeFileSync(input, original)
  expect(ask().report).toMatchObject({ status: 'hit' })
  expect(treeState(folder, project.outputs)).toEqual(built)
  appendFileSync(input, project.changed.append)
  expect(ask().report).toMatchObject({ status: 'hit' })
  expect(treeState(folder, project.outputs)).toEqual(rebuilt)
}

function flags(project: RealProject): string[] {
  const scratch = project.scratch === undefined ? [] : ['--scratch', project.scratch]
  return [...each('-i', project.inputs), ...each('-o', project.outputs), ...scratch]
}

function each(flag: string, values: readonly string[]): string[] {
  return values.flatMap((value) => [flag, value])
}

function bare(project: RealProject, folder: string): void {
  const [program = '', ...args] = project.command
  execFileSync(program, args, { cwd: folder, stdio: 'pipe', env: { PATH: process.env.PATH, HOME: folder } })
}
