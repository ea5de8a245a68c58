import { closeSync } from 'node:fs'
import type { Readable } from 'node:stream'

/**
 * The bytes of a pipe as they come, by the event loop: a reading thread for each pipe would leave none for anything else
 * where many commands run at once. `end` is non-blocking and closed by the stream, which reads no more than it is asked for.
 */
export function readPipe(end: number): Readable {
  return process.versions.bun === undefined ? readBySocket(end) : readByBlob(end)
}

function readBySocket(end: number): Readable {
  const { Socket } = process.getBuiltinModule('node:net')
  return new Socket({ fd: end, readable: true, writable: false })
}

/** Bun's sockets, file streams and terminals cannot wait for a pipe; its blobs of files can. */
function readByBlob(end: number): Readable {
  const { openAsBlob } = process.getBuiltinModule('node:fs')
  const { Readable } = process.getBuiltinModule('node:stream')
  const opened = openAsBlob(`/proc/self/fd/${end}`).then((blob) => blob.stream().getReader())
  return new Readable({
    read() {
      opened
        .then((reader) => reader.read())
        .then(
          ({ done, value }) => this.push(done ? null : value),
          (error) => this.destroy(error),
        )
    },
    destroy(error, done) {
      const closed = () => {
        // Held until now, since the blob is opened at the first read, and a pipe without any reader ends its writers.
        closeSync(end)
        done(error)
      }
      opened.then((reader) => reader.cancel()).then(closed, closed)
    },
  })
}
