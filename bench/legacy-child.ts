/** `legacy-child.ts SIDE DIR PROCESS`: one process of those that use a cache at the same time. Words: `save 100` and the like. */
import { serveRounds } from './child-script.ts'
import { legacyWork } from './legacy-work.ts'

/** So many tasks of a level end at about the same time. */
const TOGETHER = 50

const [side, dir, number] = process.argv.slice(2) as [string, string, string]
const work = await legacyWork(side, dir)
/** No two processes save the same. */
let next = (Number(number) + 1) * 10_000_000

serveRounds(async (word) => {
  const [what, text] = word.split(' ')
  const count = Number(text)
  const fresh = Array.from({ length: count }, (_, i) => next + i)
  const known = Array.from({ length: count }, (_, i) => (i * 7919 + Number(number)) % 1000)
  const start = performance.now()
  if (what === 'lookUp') await work.lookUp(known)
  else if (what === 'save') await work.save(fresh)
  else
    for (let first = 0; first < count; first += TOGETHER) await work.saveTogether(fresh.slice(first, first + TOGETHER))
  next += count
  return { ms: performance.now() - start }
})
