import { lstatSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { systemCode } from '../../errors.ts'

/** A server that was killed leaves the file of its socket behind; one at which somebody answers, and any other file, stays. */
export async function removeDeadSocket(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return
  if (await isDead(path)) rmSync(path, { force: true })
}

function isDead(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => resolve(false))
    socket.once('error', (error) => resolve(systemCode(error) === 'ECONNREFUSED'))
    socket.once('close', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
