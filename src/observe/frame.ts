import { crc32c } from '../digest/crc32c.ts'

/**
 * Starts every frame. None of its bytes occurs in UTF-8 text, so no label or path can be taken for it; after damage a
 * reader finds the next frame by it.
 */
const MAGIC = Uint8Array.of(0xf5, 0xfe, 0xc1, 0xff)
const HEADER_BYTES = 12

/** Payloads of records are never longer, so a damaged length is known by its size. */
export const MAX_PAYLOAD_BYTES = 32 << 10
export const MAX_FRAME_BYTES: number = HEADER_BYTES + MAX_PAYLOAD_BYTES

/** Magic, length, CRC32C over length and payload, payload; numbers little-endian. */
export function encodeFrame(payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length)
  frame.set(MAGIC, 0)
  frame.writeUInt32LE(payload.length, 4)
  frame.set(payload, HEADER_BYTES)
  frame.writeUInt32LE(checksum(frame, payload.length), 8)
  return frame
}

export interface Frame {
  /** Where it starts in the bytes that were searched. */
  readonly start: number
  readonly end: number
  readonly payload: Buffer
}

/** The whole, undamaged frames in order; whatever lies between them is stepped over. */
export function* framesIn(bytes: Buffer, maxPayloadBytes: number = MAX_PAYLOAD_BYTES): Generator<Frame> {
  let at = 0
  for (;;) {
    at = bytes.indexOf(MAGIC, at)
    if (at < 0) return
    const payload = payloadAt(bytes, at, maxPayloadBytes)
    if (payload === undefined) {
      at++
    } else {
      const end = at + HEADER_BYTES + payload.length
      yield { start: at, end, payload }
      at = end
    }
  }
}

function payloadAt(bytes: Buffer, at: number, maxPayloadBytes: number): Buffer | undefined {
  if (at + HEADER_BYTES > bytes.length) return undefined
  const length = bytes.readUInt32LE(at + 4)
  const end = at + HEADER_BYTES + length
  if (length > maxPayloadBytes || end > bytes.length) return undefined
  const frame = bytes.subarray(at, end)
  return checksum(frame, length) === frame.readUInt32LE(8) ? frame.subarray(HEADER_BYTES) : undefined
}

function checksum(frame: Buffer, length: number): number {
  return crc32c(frame.subarray(HEADER_BYTES, HEADER_BYTES + length), crc32c(frame.subarray(4, 8)))
}
