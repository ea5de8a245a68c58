import { temporaryServer } from '../../src/server/temporary-server.fixture.ts'
import { actionStoreContract } from '../../src/store/action-store.contract.ts'
import { blobStoreContract } from '../../src/store/blob-store.contract.ts'
import type { Frames } from '../../src/store/contracts.ts'
import { framesContract } from '../../src/store/frames.contract.ts'
import { openRemote } from '../../src/store/remote/open-remote.ts'

const open = async () => {
  const server = await temporaryServer()
  const credentials = { accessKeyId: 'any', secretAccessKey: 'any' }
  const end = await openRemote(`s3://s3/prefix?endpoint=${server.url}`, { s3: { credentials } })
  return {
    ...end,
    async [Symbol.asyncDispose]() {
      await end[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

blobStoreContract('s3, of recue serve', open)
actionStoreContract('s3, of recue serve', open)
framesContract('s3, of recue serve', async () => {
  const { frames, ...end } = await open()
  return { ...end, frames: frames as Frames }
})
