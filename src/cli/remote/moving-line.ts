import { hearRemote } from '../../store/tiered/remote-events.ts'
import { formatSize } from '../../units/size.ts'
import type { Stream } from '../output.ts'

/** What is over sooner is not worth a line. */
const SHOWN_AFTER_MS = 200
const REDRAWN_MS = 100

interface Count {
  due: number
  dueBytes: number
  over: number
  overBytes: number
}

/** What moves to and from remote caches, counted from now on, and shown while somebody waits for it. */
export class MovingLine {
  readonly #counts: Readonly<Record<'up' | 'down', Count>> = { up: none(), down: none() }

  constructor() {
    hearRemote((event) => {
      if (event.kind === 'fault') return
      const count = this.#counts[event.direction]
      if (event.kind === 'due') {
        count.due += event.blobs
        count.dueBytes += event.bytes
      } else {
        count.over += event.blobs
        count.overBytes += event.bytes
      }
    })
  }

  /** Nothing where nobody looks. */
  show(stderr: Stream): Disposable | undefined {
    if (!stderr.terminal.isTerminal) return undefined
    let isShown = false
    const draw = () => {
      const text = this.text()
      if (text === '') return
      isShown = true
      stderr.write(`\r\x1b[K${stderr.terminal.paint('dim', `recue: ${text}`)}`)
    }
    let redrawing: NodeJS.Timeout | undefined
    const first = setTimeout(() => {
      draw()
      redrawing = setInterval(draw, REDRAWN_MS)
    }, SHOWN_AFTER_MS)
    return {
      [Symbol.dispose]() {
        clearTimeout(first)
        clearInterval(redrawing)
        if (isShown) stderr.write('\r\x1b[K')
      },
    }
  }

  /** Empty where nothing moves. */
  text(): string {
    return [moving('sending', this.#counts.up), moving('fetching', this.#counts.down)]
      .filter((text) => text !== '')
      .join(', ')
  }
}

function none(): Count {
  return { due: 0, dueBytes: 0, over: 0, overBytes: 0 }
}

function moving(verb: string, { due, dueBytes, over, overBytes }: Count): string {
  return over >= due ? '' : `${verb} ${over} of ${due} files (${formatSize(overBytes)} of ${formatSize(dueBytes)})`
}
