import { CacheError } from '../../errors.ts'
import type { ListenAddress } from '../../server/listen/address.ts'
import { listenForSockets } from '../../server/listen/socket-listener.ts'

/**
 * Whether several processes can listen at an address. Throws `usage` where they cannot, and where somebody else does: the
 * system would let another server of this user share it, and deal out connections to strangers.
 */
export async function checkShareable(address: ListenAddress): Promise<void> {
  if (address.kind === 'unix')
    throw new CacheError('usage', 'Workers cannot share a Unix socket.', { hint: 'Use a port, or --workers 1.' })
  if (process.platform !== 'linux')
    throw new CacheError('usage', 'Workers can share a port on Linux alone.', { hint: 'Use --workers 1.' })
  if (address.port === 0) return
  const listener = await listenForSockets(address, (socket) => socket.destroy())
  await listener.stop()
}
