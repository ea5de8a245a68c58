// Runs a command once for its inputs: sorts a list, then again, from the cache.
//   node examples/run-command.ts
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCache } from '../src/library.ts' // in your project: from 'recue'

const folder = await mkdtemp(join(tmpdir(), 'recue-example-'))
await writeFile(join(folder, 'names.txt'), 'Grace\nAda\nEdsger\n')

{
  await using cache = await openCache({ cacheDir: join(folder, 'cache'), maxCacheSize: '100MB' })
  for (const time of ['first', 'second']) {
    await rm(join(folder, 'sorted.txt'), { force: true })
    const { status, outputs } = await cache.run({
      command: ['sort', '-o', 'sorted.txt', 'names.txt'],
      inputs: ['names.txt'],
      outputs: ['sorted.txt'],
      cwd: folder,
      root: folder,
    })
    console.log(`${time}: ${status}, ${outputs.join()}`)
  }
}
console.log(await readFile(join(folder, 'sorted.txt'), 'utf8'))
await rm(folder, { recursive: true })
