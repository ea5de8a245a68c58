/** One line of a chart: a value between 0 and 1 for each place on the axis. */
export interface Series {
  readonly letter: string
  readonly values: readonly number[]
}

const ROWS = 16
const AXIS = 7
/** Of a chart in which nothing changes. */
const LEAST_RANGE = 0.01

/**
 * A chart of plain characters: what is missed, upwards from the least of all, over sizes that stand at equal distances.
 * Where several lines meet, the one that comes first is seen.
 */
export function missCurve(series: readonly Series[], labels: readonly string[], columns: number): string[] {
  const width = Math.max(20, Math.min(columns, 100) - AXIS - 1)
  const all = series.flatMap(({ values }) => values)
  const lowest = Math.min(...all)
  const range = Math.max(Math.max(...all) - lowest, LEAST_RANGE)
  const grid = Array.from({ length: ROWS }, () => new Array<string>(width).fill(' '))
  for (const { letter, values } of series.toReversed())
    for (let x = 0; x < width; x++) {
      const y = Math.round((1 - (valueAt(values, x / (width - 1)) - lowest) / range) * (ROWS - 1))
      ;(grid[y] as string[])[x] = letter
    }
  const lines = grid.map((row, y) => {
    const isNamed = y % 5 === 0
    const share = (100 * (lowest + range * (1 - y / (ROWS - 1)))).toFixed(1)
    return `${(isNamed ? `${share} %` : '').padStart(AXIS)}|${row.join('').trimEnd()}`
  })
  return [...lines, `${' '.repeat(AXIS)}+${'-'.repeat(width)}`, `${' '.repeat(AXIS + 1)}${axis(labels, width)}`]
}

/** Between two places, what lies between their values. */
function valueAt(values: readonly number[], share: number): number {
  const at = share * (values.length - 1)
  const before = Math.floor(at)
  const [low = 0, high = low] = values.slice(before, before + 2)
  return low + (high - low) * (at - before)
}

/** Labels under their places, those that would touch another left out. */
function axis(labels: readonly string[], width: number): string {
  let line = ''
  for (const [at, label] of labels.entries()) {
    const place = labels.length === 1 ? 0 : Math.round((at * (width - 1)) / (labels.length - 1))
    const left = Math.max(0, Math.min(place - Math.floor(label.length / 2), width - label.length))
    if (left >= line.length + (line === '' ? 0 : 2)) line = line.padEnd(left) + label
  }
  return line
}
