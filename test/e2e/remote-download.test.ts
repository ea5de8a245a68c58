import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Machine, machine, remote, reportsIn } from './machine.ts'
import { inherited, type Runtime, runtimes, type Sandbox, sandbox } from './runtimes.ts'
import { READ_TOKEN, type Served, serveStore, WRITE_TOKEN } from './served.ts'
import { treeState } from './tree-state.ts'

/** Long enough that a look at the remote is worth waiting for, whatever it takes to get there. */
const LONG = 'sleep 0.5'
const CHAIN = {
  tasks: {
    lib: { command: `${LONG}; mkdir -p lib && cp src/a lib/a && echo made lib`, inputs: ['src/a'], outputs: ['lib'] },
    mid: {
      command: `${LONG}; mkdir -p mid && cat lib/a src/m > mid/a && echo made mid`,
      ...{ dependsOn: ['lib'], inputs: ['lib/**', 'src/m'], outputs: ['mid'] },
    },
    app: {
      command: `${LONG}; mkdir -p app && cat mid/a src/z > app/a && echo made app`,
      ...{ dependsOn: ['mid'], inputs: ['mid', 'src/z'], outputs: ['app'] },
    },
    lint: { command: `${LONG}; echo linted`, inputs: ['src'] },
    all: { dependsOn: ['app', 'lint'] },
  },
}

/** As it is in a new checkout. */
function checkout(box: Sandbox, runtime: Runtime, name: string, config: unknown = CHAIN): Machine {
  const made = machine(box, runtime, name, config)
  for (const file of ['m', 'z']) writeFileSync(path.join(made.project, 'src', file), `of ${file}\n`)
  return made
}

const fills = (served: Served) => ({ ...remote(served, WRITE_TOKEN), RECUE_UPLOAD_WAIT: '1m' })
const reads = (served: Served) => remote(served, READ_TOKEN)
const TOPLEVEL = '--remote-download=toplevel'
const NONE = '--remote-download=none'
const here = ({ project }: Machine) => readdirSync(project).filter((name) => !/^(src|recue\.config)/.test(name))
const text = ({ project }: Machine, file: string) => readFileSync(path.join(project, file), 'utf8')

describe.each(runtimes)('on $name', (runtime) => {
  test('toplevel fetches what was asked for by name, none nothing, and the rest of a chain stays there', async () => {
    await using box = sandbox('download')
    await using served = await serveStore(runtime, path.join(box.folder, 'server'))
    const built = checkout(box, runtime, 'a').run(fills(served), 'all')
    const b = checkout(box, runtime, 'b')
    const top = b.run(reads(served), TOPLEVEL, 'all')
    expect(top.status, top.stderr).toBe(0)
    for (const task of ['lib', 'mid'])
      expect(top.reports[task]).toMatchObject({ status: 'hit', source: 'remote', isLeft: true, outputs: [] })
    expect(top.reports.app).toMatchObject({ status: 'hit', source: 'remote', isLeft: false, outputs: ['app/a'] })
    for (const task of ['lib', 'mid', 'app', 'lint']) expect(top.reports[task]?.key).toBe(built.reports[task]?.key)
    expect(top.stdout).toContain('made mid')
    expect(top.stderr).toMatch(/4 hits · outputs of 2 not fetched/)
    expect([here(b), text(b, 'app/a')]).toEqual([['app'], 'contentof m\nof z\n'])
    // Only what is whole is here: lib is the remote's still, and a miss without it.
    expect(JSON.parse(b.recue(['run', '--dry-run', '--json', 'lib']).stdout)).toMatchObject({ would: 'run' })

    const c = checkout(box, runtime, 'c')
    const none = c.run(reads(served), NONE, 'all')
    for (const task of ['lib', 'mid', 'app']) expect(none.reports[task]).toMatchObject({ status: 'hit', isLeft: true })
    expect(none.reports.lint).toMatchObject({ status: 'hit', isLeft: false })
    expect(here(c)).toEqual([])
    // Asked for by name, a task is at the top, whatever builds on it.
    const two = c.run(reads(served), TOPLEVEL, 'lib', 'app')
    expect([two.reports.lib?.isLeft, two.reports.mid?.isLeft, here(c)]).toEqual([false, true, ['app', 'lib']])
    const all = c.run(reads(served), 'all')
    expect([all.reports.mid?.source, here(c)]).toEqual(['remote', ['app', 'lib', 'mid']])
    // What is here is restored, whatever was asked.
    expect(c.run(reads(served), NONE, 'all').reports.app).toMatchObject({ source: 'local', isLeft: false })
  })

  test('a command that has to run gets what it builds on, and what comes after it is as it should be', async () => {
    await using box = sandbox('download')
    await using served = await serveStore(runtime, path.join(box.folder, 'server'))
    checkout(box, runtime, 'a').run(fills(served), 'all')
    const b = checkout(box, runtime, 'b')
    writeFileSync(path.join(b.project, 'src/m'), 'new\n')
    const changed = b.run(reads(served), TOPLEVEL, 'app')
    expect(changed.status, changed.stderr).toBe(0)
    expect(changed.reports.lib).toMatchObject({ status: 'hit', source: 'remote', isLeft: false, outputs: ['lib/a'] })
    expect(changed.reports.mid).toMatchObject({ status: 'miss' })
    expect(changed.reports.app).toMatchObject({ status: 'miss' })
    expect(text(b, 'app/a')).toBe('contentnew\nof z\n')
    // Shown once, though it was looked at twice.
    expect(changed.stdout.match(/made lib/g)).toHaveLength(1)
    const c = checkout(box, runtime, 'c')
    writeFileSync(path.join(c.project, 'src/m'), 'new\n')
    expect(c.run({}, 'app').reports.app?.key).toBe(changed.reports.app?.key)
  })

  test('in a diamond all sides are fetched for the command at its end, and none for a hit', async () => {
    await using box = sandbox('download')
    await using served = await serveStore(runtime, path.join(box.folder, 'server'))
    const side = (name: string, inputs: readonly string[]) => ({
      command: `${LONG}; mkdir -p ${name} && cat base/a ${inputs.join(' ')} > ${name}/a`,
      ...{ dependsOn: ['base'], inputs: ['base/*', ...inputs], outputs: [`${name}/*`] },
    })
    const config = {
      tasks: {
        base: { command: `${LONG}; mkdir -p base && cp src/a base/a`, inputs: ['src/a'], outputs: ['base'] },
        left: side('left', ['src/m']),
        right: side('right', ['src/z']),
        top: {
          command: `${LONG}; cat left/a right/a > top`,
          ...{ dependsOn: ['left', 'right'], inputs: ['{left,right}/**'], outputs: ['top'] },
        },
      },
    }
    checkout(box, runtime, 'a', config).run(fills(served), 'top')
    const b = checkout(box, runtime, 'b', config)
    const hit = b.run(reads(served), TOPLEVEL, 'top')
    expect([hit.reports.left?.isLeft, hit.reports.right?.isLeft, here(b)]).toEqual([true, true, ['top']])
    const c = checkout(box, runtime, 'c', config)
    writeFileSync(path.join(c.project, 'src/z'), 'new\n')
    const changed = c.run(reads(served), TOPLEVEL, 'top')
    expect(changed.status, changed.stderr).toBe(0)
    expect(['base', 'left', 'right', 'top'].map((task) => changed.reports[task]?.status)).toEqual([
      ...['hit', 'hit', 'miss', 'miss'],
    ])
    expect(text(c, 'top')).toBe('contentof m\ncontentnew\n')
    expect(here(c)).toEqual(['base', 'left', 'right', 'top'])
  })

  test('older outputs that stand there give way to those of now, as always', async () => {
    await using box = sandbox('download')
    await using served = await serveStore(runtime, path.join(box.folder, 'server'))
    const [a, b] = [checkout(box, runtime, 'a'), checkout(box, runtime, 'b')]
    b.run({}, 'app')
    for (const { project } of [a, b]) writeFileSync(path.join(project, 'src/a'), 'newer')
    a.run(fills(served), 'app')
    const top = b.run(reads(served), TOPLEVEL, 'app')
    for (const task of ['lib', 'mid', 'app'])
      expect(top.reports[task]).toMatchObject({ status: 'hit', source: 'remote', isLeft: false })
    expect([text(b, 'lib/a'), text(b, 'app/a')]).toEqual(['newer', 'newerof m\nof z\n'])
  })

  test('of an older result that nothing builds on, what stands there stays, and is named', async () => {
    await using box = sandbox('download')
    await using served = await serveStore(runtime, path.join(box.folder, 'server'))
    const [a, b] = [checkout(box, runtime, 'a'), checkout(box, runtime, 'b')]
    b.run({}, 'lib')
    for (const { project } of [a, b]) writeFileSync(path.join(project, 'src/a'), 'newer')
    a.run(fills(served), 'lib')
    const left = b.run({ ...reads(served), RECUE_REMOTE_DOWNLOAD: 'none' }, 'lib')
    expect(left.reports.lib).toMatchObject({ status: 'hit', isLeft: true })
    expect(left.stderr).toMatch(/warning: Not of this result, which was not fetched: lib\./)
    expect(text(b, 'lib/a')).toBe('content')
    expect(b.run(reads(served), 'lib').reports.lib).toMatchObject({ status: 'hit', isLeft: false })
    expect(text(b, 'lib/a')).toBe('newer')
  })

  test('a remote that dies before what was left there is needed has the commands run here', async () => {
    await using box = sandbox('download')
    await using served = await serveStore(runtime, path.join(box.folder, 'server'))
    checkout(box, runtime, 'a').run(fills(served), 'app')
    const { status, said, report, machine: b } = await runWhileItDies(box, runtime, served, CHAIN.tasks)
    expect(status, said).toBe(0)
    const reports = reportsIn(report)
    expect(['lib', 'mid', 'app'].map((task) => reports[task]?.status)).toEqual(['miss', 'miss', 'miss'])
    expect(text(b, 'app/a')).toBe('contentof m\nnew\n')
  })

  test('what cannot be made either is a failure of its own, and what needs it does not begin', async () => {
    await using box = sandbox('download')
    await using served = await serveStore(runtime, path.join(box.folder, 'server'))
    const flag = path.join(box.folder, 'fails')
    const lib = { ...CHAIN.tasks.lib, command: `${LONG}; test ! -e ${flag} || exit 1; ${CHAIN.tasks.lib.command}` }
    const tasks = { ...CHAIN.tasks, lib }
    checkout(box, runtime, 'a', { tasks }).run(fills(served), 'app')
    writeFileSync(flag, '')
    const { status, said, report, machine: b } = await runWhileItDies(box, runtime, served, tasks)
    expect(status, said).toBe(1)
    expect(said).toMatch(/recue: lib: not kept: .*failed/)
    expect(JSON.parse(readFileSync(report, 'utf8'))).toMatchObject({ exitCode: 1, notRun: ['app'] })
    expect(here(b)).toEqual([])
  })

  test('whatever the graph, what is fetched is what a build without the option has, under the same keys', async () => {
    await using box = sandbox('download')
    await using served = await serveStore(runtime, path.join(box.folder, 'server'))
    for (const [i, { tasks, changed }] of fc.sample(graphs(), { numRuns: 3, seed: 52 }).entries()) {
      const named = (name: string) => {
        const made = checkout(box, runtime, `${name}-${i}`, { tasks })
        mkdirSync(path.join(made.project, 'src'), { recursive: true })
        for (const task of Object.keys(tasks))
          writeFileSync(path.join(made.project, 'src', task), `graph ${i} ${task}\n`)
        return made
      }
      const last = Object.keys(tasks).at(-1) as string
      named('a').run(fills(served), last)
      const [all, top] = [named('all'), named('top')]
      for (const round of ['as it was', 'changed']) {
        if (round === 'changed')
          for (const { project } of [all, top]) writeFileSync(path.join(project, 'src', changed), 'changed\n')
        const [whole, part] = [all.run(reads(served), last), top.run(reads(served), TOPLEVEL, last)]
        expect([whole.status, part.status], whole.stderr + part.stderr).toEqual([0, 0])
        const why = `graph ${i} ${round}: ${JSON.stringify(tasks)}\n${part.stderr}`
        for (const task of Object.keys(whole.reports))
          expect(part.reports[task]?.key, `${task} of ${why}`).toBe(whole.reports[task]?.key)
        const stands = here(top)
        expect(stands, why).toContain(last)
        expect(treeState(top.project, stands), why).toEqual(treeState(all.project, stands))
      }
    }
  })
})

/** Runs `app` on a new machine: of what it needs all is found at a server, which is dead when its command is to run. */
async function runWhileItDies(box: Sandbox, runtime: Runtime, served: Served, tasks: typeof CHAIN.tasks) {
  const dead = { command: `while kill -0 ${served.pid} 2>/dev/null; do sleep 0.05; done`, inputs: ['src/z'] }
  const app = { ...tasks.app, dependsOn: ['mid', 'dead'] }
  const b = checkout(box, runtime, 'dying', { tasks: { ...tasks, app, dead } })
  writeFileSync(path.join(b.project, 'src/z'), 'new\n')
  const report = path.join(box.folder, 'report.json')
  const [program = '', ...before] = runtime.argv
  const words = [...before, 'run', '--report', report, '--concurrency=2', TOPLEVEL, 'app']
  const env = { ...inherited(), HOME: box.home, ...b.env, ...reads(served) }
  const child = spawn(program, words, { cwd: b.project, env, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  let isDead = false
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk
    if (!isDead && /mid: (hit|miss) /.test(said)) isDead = process.kill(served.pid, 'SIGKILL')
  })
  const status = await new Promise((ended) => child.once('close', ended))
  return { status, said, report, machine: b }
}

/** Small tasks that read each other's outputs by folder, glob and link, and make files, links and programs. */
function graphs() {
  const task = fc.record({
    needs: fc.array(fc.nat(), { minLength: 1, maxLength: 2 }),
    reads: fc.constantFrom('', '/**', '/out.txt', '/**/*.txt', '/sub/dep', '/*'),
    writes: fc.constantFrom('', '/**', '/**/*'),
  })
  return fc.tuple(fc.array(task, { minLength: 3, maxLength: 5 }), fc.nat()).map(([given, seed]) => {
    const tasks: Record<string, object> = {}
    given.forEach(({ needs, reads, writes }, i) => {
      const dependsOn = [...new Set(i === 0 ? [] : [i - 1, ...needs.map((n) => n % i)])].map((n) => `t${n}`)
      const links = dependsOn.map((one) => `ln -sf ../../${one}/out.txt t${i}/sub/dep`)
      const command = [
        `sleep 0.3; mkdir -p t${i}/sub`,
        `cat src/t${i} ${dependsOn.map((one) => `${one}/out.txt`).join(' ')} > t${i}/out.txt`,
        ...links,
        `cp t${i}/out.txt t${i}/sub/run.txt && chmod +x t${i}/sub/run.txt && ln -sf out.txt t${i}/link`,
      ].join(' && ')
      tasks[`t${i}`] = {
        ...{
          command,
          dependsOn,
          inputs: [
            `src/t${i}`,
            ...dependsOn.map((one) => one + (one === 't0' && reads === '/sub/dep' ? '/link' : reads)),
          ],
        },
        outputs: [`t${i}${writes}`],
      }
    })
    return { tasks, changed: `t${seed % given.length}` }
  })
}
