import { createHash } from 'node:crypto'
import type { PipeInput } from '../pipe-input.ts'
import type { GoCache } from './go-cache.ts'
import { answerGo } from './go-cache-program.ts'

export interface GoAnswer {
  readonly ID: number
  readonly Err?: string
  readonly Miss?: boolean
  readonly OutputID?: string
  readonly Size?: number
  readonly Time?: string
  readonly DiskPath?: string
}

/** Speaks to the program as the go command does. */
export interface GoCommand {
  /** Of each time that the program asked for more: whether all of it would wait. */
  readonly blocks: readonly boolean[]
  get(action: string): Promise<GoAnswer>
  put(
    action: string,
    body: Uint8Array,
    options?: { readonly outputId?: Buffer; readonly sizeBytes?: number },
  ): Promise<GoAnswer>
  close(): Promise<GoAnswer>
  /** Goes away, with these last bytes. The program has ended when it is done. */
  vanish(last?: string): Promise<void>
}

export function goCommand(cache: GoCache): GoCommand {
  const waiting = new Map<number, (answer: GoAnswer) => void>()
  const blocks: boolean[] = []
  const input = pipe(blocks)
  const ended = answerGo(cache, {
    input,
    write(text) {
      const answer = JSON.parse(text) as GoAnswer
      waiting.get(answer.ID)?.(answer)
      waiting.delete(answer.ID)
      return true
    },
  })
  let last = 0
  const send = (message: Readonly<Record<string, unknown>>, body?: string): Promise<GoAnswer> => {
    const id = ++last
    const answered = new Promise<GoAnswer>((resolve) => waiting.set(id, resolve))
    input.push(`${JSON.stringify({ ID: id, ...message })}\n\n${body ?? ''}`)
    return answered
  }
  const bytesOf = (hex: string) => Buffer.from(hex, 'hex').toString('base64')
  return {
    blocks,
    get: (action) => send({ Command: 'get', ActionID: bytesOf(action) }),
    put(action, body, { outputId = createHash('sha256').update(body).digest(), sizeBytes = body.length } = {}) {
      const ids = { ActionID: bytesOf(action), OutputID: outputId.toString('base64') }
      const text = sizeBytes === 0 ? undefined : `"${Buffer.from(body).toString('base64')}"\n`
      return send({ Command: 'put', ...ids, ...(sizeBytes > 0 && { BodySize: sizeBytes }) }, text)
    },
    async close() {
      const answer = await send({ Command: 'close' })
      await ended
      return answer
    },
    async vanish(text = '') {
      input.push(text)
      input.end()
      await ended
    },
  }
}

interface TestPipe extends PipeInput {
  push(text: string): void
  end(): void
}

function pipe(blocks: boolean[]): TestPipe {
  const chunks: Buffer[] = []
  let hasEnded = false
  let wake: () => void = () => undefined
  return {
    push(text) {
      // As a pipe hands it on: in pieces.
      for (let at = 0; at < text.length; at += 65_536) chunks.push(Buffer.from(text.slice(at, at + 65_536)))
      wake()
    },
    end() {
      hasEnded = true
      wake()
    },
    async read(mayBlock) {
      blocks.push(mayBlock)
      while (chunks.length === 0 && !hasEnded)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      return chunks.shift()
    },
  }
}
