import { type FaultyServer, faultyPort } from '../fault-servers.fixture.ts'

/** What is answered to a command, as it goes on the wire; undefined: nothing, ever. */
export type Answers = (command: readonly string[]) => string | Buffer | undefined

export interface FakeRedis extends FaultyServer {
  /** How many connections there were. */
  readonly connections: () => number
}

/** A port that takes commands as Redis does, and answers as the test says. `asked` has their first words. */
export async function fakeRedis(answers: Answers): Promise<FakeRedis> {
  const asked: string[] = []
  let connections = 0
  const server = await faultyPort((socket) => {
    connections++
    let pending = Buffer.alloc(0)
    socket.on('data', (piece: Buffer) => {
      pending = Buffer.concat([pending, piece])
      for (let next = firstCommand(pending); next !== undefined; next = firstCommand(pending)) {
        pending = pending.subarray(next.bytes)
        asked.push(next.command[0] ?? '')
        const answer = answers(next.command)
        if (answer !== undefined) socket.write(answer)
      }
    })
  })
  return { ...server, address: `redis://${server.address}`, asked, connections: () => connections }
}

function firstCommand(bytes: Buffer): { command: string[]; bytes: number } | undefined {
  const head = /^\*(\d+)\r\n/.exec(bytes.toString('latin1', 0, 20))
  if (head === null) return undefined
  let at = head[0].length
  const command: string[] = []
  for (let left = Number(head[1]); left > 0; left--) {
    const end = bytes.indexOf('\r\n', at)
    const length = end === -1 ? 0 : Number(bytes.toString('latin1', at + 1, end))
    if (end === -1 || bytes.length < end + 2 + length + 2) return undefined
    command.push(bytes.toString('latin1', end + 2, end + 2 + length))
    at = end + 2 + length + 2
  }
  return { command, bytes: at }
}

export function bulk(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')])
}
