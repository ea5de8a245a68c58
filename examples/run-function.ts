// Work done by a function instead of a command: its files are restored, and its value comes back.
//   node examples/run-function.ts
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCache } from '../src/library.ts' // in your project: from 'recue'

const folder = await mkdtemp(join(tmpdir(), 'recue-example-'))
await writeFile(join(folder, 'page.md'), '# Hello\n')

{
  await using cache = await openCache({ cacheDir: join(folder, 'cache') })
  for (const time of ['first', 'second']) {
    const { value, outcome } = await cache.run({
      name: 'render',
      version: '1',
      cwd: folder,
      root: folder,
      inputs: ['page.md'],
      outputs: ['page.html'],
      fn: async () => {
        const html = (await readFile(join(folder, 'page.md'), 'utf8')).replace(/^# (.*)$/m, '<h1>$1</h1>')
        await writeFile(join(folder, 'page.html'), html)
        return { bytes: html.length }
      },
    })
    console.log(`${time}: ${outcome.status}, ${value.bytes} bytes`)
    await rm(join(folder, 'page.html'), { force: time === 'first' })
  }
}
await rm(folder, { recursive: true })
