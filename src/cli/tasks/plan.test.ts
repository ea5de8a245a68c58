import { expect, test } from 'vitest'
import type { Project, TaskDocument } from '../config/project.ts'
import { isBuiltOn, planOf } from './plan.ts'

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
