// Remembers an async function: the second call, in this process or any other, does not run it.
//   node examples/memoize.ts
import { openCache } from '../src/library.ts' // in your project: from 'recue'

await using cache = await openCache()

const primesBelow = cache.memoize('primes', async (limit: number) => {
  console.error(`counting primes below ${limit} …`)
  let count = 0
  for (let n = 2; n < limit; n++) if (isPrime(n)) count++
  return { limit, count }
})

console.log(await primesBelow(200_000))

function isPrime(n: number): boolean {
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false
  return true
}
