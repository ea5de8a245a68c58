import { connect } from 'node:net'
import { endianness } from 'node:os'

/** Speaks the storage helper protocol as ccache does, written from its specification and with none of the helper's code. */
export interface CrshClient extends Disposable {
  readonly greeting: Buffer
  get(key: Buffer): Promise<Buffer | 'noop' | string>
  put(key: Buffer, value: Uint8Array, overwrite: boolean): Promise<number>
  remove(key: Buffer): Promise<number>
  exists(key: Buffer): Promise<boolean>
  info(): Promise<readonly string[]>
  stop(): Promise<number>
  send(bytes: Uint8Array): void
  /** Fewer where the helper hung up. */
  receive(bytes: number): Promise<Buffer>
}

export async function crshClient(endpoint: string): Promise<CrshClient> {
  const socket = connect(endpoint)
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  socket.on('error', () => undefined)
  const send = (bytes: Uint8Array) => void socket.write(bytes)
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let held: Buffer = Buffer.alloc(0)
  const receive = async (bytes: number): Promise<Buffer> => {
    const parts = [held]
    let length = held.length
    while (length < bytes) {
      const next = await chunks.next().catch(() => ({ done: true, value: undefined }))
      if (next.done === true) break
      parts.push(next.value as Buffer)
      length += (next.value as Buffer).length
    }
    const all = Buffer.concat(parts)
    held = all.subarray(bytes)
    return all.subarray(0, bytes)
  }
  const byte = async () => (await receive(1))[0] as number
  const message = async () => (await receive(await byte())).toString()
  const keyed = (code: number, key: Buffer) => send(Buffer.concat([Buffer.of(code, key.length), key]))
  const [version, count] = await receive(2)
  const greeting = Buffer.concat([Buffer.of(version as number, count as number), await receive(count as number)])
  return {
    greeting,
    async get(key) {
      keyed(0, key)
      const status = await byte()
      if (status === 1) return 'noop'
      if (status === 2) return message()
      const size = await receive(8)
      return receive(Number(endianness() === 'LE' ? size.readBigUInt64LE() : size.readBigUInt64BE()))
    },
    async put(key, value, overwrite) {
      const size = Buffer.from(new BigUint64Array([BigInt(value.length)]).buffer)
      send(Buffer.concat([Buffer.of(1, key.length), key, Buffer.of(overwrite ? 1 : 0), size]))
      send(value)
      return byte()
    },
    async remove(key) {
      keyed(2, key)
      return byte()
    },
    async exists(key) {
      keyed(5, key)
      const [status, found] = await receive(2)
      return status === 0 && found === 1
    },
    async info() {
      send(Buffer.of(4))
      const said = [await message()]
      for (let rest = await byte(); rest > 0; rest--) said.push(await message())
      return said
    },
    stop() {
      send(Buffer.of(3))
      return byte()
    },
    send,
    receive,
    [Symbol.dispose]: () => void socket.destroy(),
  }
}
