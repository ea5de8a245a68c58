import { expect, test } from 'vitest'
import type { Project, TaskDocument } from '../config/project.ts'
import { dependenciesOf, isAskedFor, isBuiltOn, planOf } from './plan.ts'

const place = { root: '/p', workingDirectory: '', configFile: undefined }

function sourceOf(tasks: Readonly<Record<string, TaskDocument>>) {
  return { place, project: { tasks: new Map(Object.entries(tasks)) } as unknown as Project }
}

test('a command that comes after a task builds on it, also by way of tasks without a command', () => {
  const source = sourceOf({
    lib: { command: 'lib' },
    libs: { dependsOn: ['lib'] },
    app: { command: 'app', dependsOn: ['libs'] },
    lint: { command: 'lint' },
    ci: { dependsOn: ['app', 'lint'] },
  })
  const plan = planOf(['ci'], source)
  expect([...plan.keys()]).toEqual(['lib', 'libs', 'app', 'lint', 'ci'])
  const builtOn = [...plan.keys()].filter((name) => isBuiltOn(name, plan, source))
  expect(builtOn).toEqual(['lib', 'libs'])
  const alone = planOf(['libs'], source)
  expect([...alone.keys()].filter((name) => isBuiltOn(name, alone, source))).toEqual([])
})

test('a task is asked for by its name, or by one that has no command and stands for it', () => {
  const source = sourceOf({
    base: { command: 'base' },
    lib: { command: 'lib', dependsOn: ['base'] },
    app: { command: 'app', dependsOn: ['lib'] },
    apps: { dependsOn: ['app'] },
    ci: { dependsOn: ['apps', 'lint'] },
    lint: { command: 'lint', dependsOn: ['base'] },
  })
  const asked = (...names: string[]) => {
    const plan = planOf(names, source)
    return [...plan.keys()].filter((name) => isAskedFor(name, names, plan, source))
  }
  expect(asked('ci')).toEqual(['app', 'apps', 'lint', 'ci'])
  expect(asked('app', 'base')).toEqual(['base', 'app'])
  expect(dependenciesOf('ci', planOf(['ci'], source))).toEqual(['base', 'lib', 'app', 'apps', 'lint'])
  expect(dependenciesOf('lint', planOf(['ci'], source))).toEqual(['base'])
})
