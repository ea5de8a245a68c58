import { taskNamed, type WorkSource } from '../work.ts'

/** Tasks to be done, each with those that must be done before it; dependencies come first. */
export type Plan = ReadonlyMap<string, readonly string[]>

/** The tasks named and all that they need. Throws `config.no-task`. The config was checked: there is no circle. */
export function planOf(names: readonly string[], source: Pick<WorkSource, 'project' | 'place'>): Plan {
  const plan = new Map<string, readonly string[]>()
  const add = (name: string) => {
    if (plan.has(name)) return
    const dependencies = taskNamed(name, source).dependsOn ?? []
    for (const dependency of dependencies) add(dependency)
    plan.set(name, dependencies)
  }
  for (const name of names) add(name)
  return plan
}

/** Whether a command of the plan comes after this task, be it by way of tasks that have none. */
export function isBuiltOn(name: string, plan: Plan, source: Pick<WorkSource, 'project' | 'place'>): boolean {
  for (const [other, dependencies] of plan) {
    if (!dependencies.includes(name)) continue
    if (taskNamed(other, source).command !== undefined || isBuiltOn(other, plan, source)) return true
  }
  return false
}

/** Whether a task was asked for by its own name, or by that of one that has no command and stands for it. */
export function isAskedFor(
  name: string,
  asked: readonly string[],
  plan: Plan,
  source: Pick<WorkSource, 'project' | 'place'>,
): boolean {
  if (asked.includes(name)) return true
  for (const [other, dependencies] of plan) {
    if (!dependencies.includes(name) || taskNamed(other, source).command !== undefined) continue
    if (isAskedFor(other, asked, plan, source)) return true
  }
  return false
}

/** All that a task needs, be it by way of others, in the order of the plan. */
export function dependenciesOf(name: string, plan: Plan): readonly string[] {
  const needed = new Set<string>()
  const add = (dependency: string) => {
    if (needed.has(dependency)) return
    needed.add(dependency)
    plan.get(dependency)?.forEach(add)
  }
  plan.get(name)?.forEach(add)
  return [...plan.keys()].filter((other) => needed.has(other))
}
