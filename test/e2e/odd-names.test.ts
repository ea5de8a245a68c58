import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { runtimes, type Sandbox, sandbox } from './runtimes.ts'
import { treeState } from './tree-state.ts'

const odd = [
  'with space.txt',
  'with\nnewline.txt',
  '-leading-dash',
  '*star*',
  'quote\'".txt',
  'ünïcödé.txt',
  '\\back\\slash',
  '!bang',
  '#hash',
]

for (const runtime of runtimes) {
  describe(`on ${runtime.name}`, () => {
    test('odd names are inputs and outputs like others', async () => {
      await using box = project()
      const folder = path.join(box.folder, 'project')
      for (const name of odd) writeFileSync(path.join(folder, 'src', name), `content of ${name}`)
      const ask = () => box.run(runtime, ['-i', 'src', '-o', 'out', '--', 'cp', '-r', 'src', 'out'])
      expect(ask().report.status).toBe('miss')
      const built = treeState(folder, ['out'])
      expect(Object.keys(built).length).toBe(odd.length + 2)
      rmSync(path.join(folder, 'out'), { recursive: true })
      const hit = ask()
      expect(hit.report.status).toBe('hit')
      expect(treeState(folder, ['out'])).toEqual(built)
      writeFileSync(path.join(folder, 'src', '-leading-dash'), 'changed')
      expect(ask().report.status).toBe('miss')
    })

    test.runIf(process.platform === 'linux')(
      'a name that is not UTF-8: runs, is not kept, says so in a line',
      async () => {
        await using box = project()
        writeFileSync(
          Buffer.concat([Buffer.from(path.join(box.folder, 'project/src/')), Buffer.from([0x66, 0xff])]),
          'x',
        )
        const { report, stdout, stderr } = box.run(runtime, ['-i', 'src', '--', 'echo', 'ran'])
        expect(report.status).not.toBe('hit')
        expect(report.status).not.toBe('miss')
        expect(stdout).toBe('ran\n')
        expect(stderr).toMatch(/UTF-8/)
      },
    )

    test('links that point at each other end in an answer', async () => {
      await using box = project()
      const src = path.join(box.folder, 'project/src')
      symlinkSync('b', path.join(src, 'a'))
      symlinkSync('a', path.join(src, 'b'))
      symlinkSync('.', path.join(src, 'self'))
      symlinkSync('..', path.join(src, 'up'))
      const ended = box.recue(runtime, ['run', '-i', 'src', '--', 'echo', 'ran'])
      expect([0, 125]).toContain(ended.status)
      expect(ended.stderr).not.toMatch(/^\s+at /m)
      expect(ended.stdout).toBe(ended.status === 0 ? 'ran\n' : '')
    })

    test('a link out of the root: runs, is not kept, unless it is allowed', async () => {
      await using box = project()
      writeFileSync(path.join(box.folder, 'outside.txt'), 'outside')
      symlinkSync(path.join(box.folder, 'outside.txt'), path.join(box.folder, 'project/src/link'))
      const ask = (...more: string[]) => box.run(runtime, ['-i', 'src', ...more, '--', 'echo', 'ran'])
      expect(ask()).toMatchObject({ stdout: 'ran\n', report: { exitCode: 0, status: 'uncached' } })
      const allowed = ['--allow-link', 'src/link']
      expect([ask(...allowed).report.status, ask(...allowed).report.status]).toEqual(['miss', 'hit'])
    })

    test('links, executable bits and empty folders come back as they were', async () => {
      await using box = project()
      const folder = path.join(box.folder, 'project')
      const script =
        'mkdir -p out/empty/deep; echo x >out/tool; chmod 755 out/tool; ln -s tool out/link; ln -s nowhere out/dangling; ln -s empty out/folder-link'
      const ask = () => box.run(runtime, ['-i', 'src', '-o', 'out', '--', 'sh', '-c', script])
      expect(ask().report.status).toBe('miss')
      const built = treeState(folder, ['out'])
      rmSync(path.join(folder, 'out'), { recursive: true })
      expect(ask().report.status).toBe('hit')
      expect(treeState(folder, ['out'])).toEqual(built)
      writeFileSync(path.join(folder, 'out/tool'), 'writable')
      expect(readFileSync(path.join(folder, 'out/tool'), 'utf8')).toBe('writable')
    })
  })
}

function project(): Sandbox {
  const box = sandbox('odd')
  mkdirSync(path.join(box.folder, 'project/src'), { recursive: true })
  mkdirSync(box.home)
  writeFileSync(path.join(box.folder, 'project/src/plain.txt'), 'plain')
  return box
}
