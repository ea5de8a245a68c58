const PLAIN = /^[^[\]{}()!+@\\]*$/

/**
 * Whether some path matches both patterns. Exact for `*`, `?` and `**`; a segment with anything else in it meets only one that
 * is written the same, so that no two patterns are said to meet that do not.
 */
export function globsMeet(one: string, other: string): boolean {
  return sequencesMeet(one.split('/'), other.split('/'), '**', segmentsMeet)
}

function segmentsMeet(a: string, b: string): boolean {
  if (a === b) return true
  if (!PLAIN.test(a) || !PLAIN.test(b)) return false
  return sequencesMeet([...a], [...b], '*', (x, y) => x === y || x === '?' || y === '?')
}

/** Two sequences in which `any` stands for any number of parts, and the others for one each that `meet` judges. */
function sequencesMeet(
  a: readonly string[],
  b: readonly string[],
  any: string,
  meet: (x: string, y: string) => boolean,
): boolean {
  // Row by row of who meets from here on; `later` is the row below.
  let later: boolean[] = []
  for (let i = a.length; i >= 0; i--) {
    const row: boolean[] = []
    for (let j = b.length; j >= 0; j--) {
      const [x, y] = [a[i], b[j]]
      if (x === undefined && y === undefined) row[j] = true
      else if (x === any) row[j] = later[j] === true || (y !== undefined && row[j + 1] === true)
      else if (y === any) row[j] = row[j + 1] === true || (x !== undefined && later[j] === true)
      else row[j] = x !== undefined && y !== undefined && meet(x, y) && later[j + 1] === true
    }
    later = row
  }
  return later[0] === true
}
