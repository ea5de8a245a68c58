import { temporaryServer } from '../../src/server/temporary-server.fixture.ts'
import { actionStoreContract } from '../../src/store/action-store.contract.ts'
import { blobStoreContract } from '../../src/store/blob-store.contract.ts'
import type { Frames } from '../../src/store/contracts.ts'
import { framesContract } from '../../src/store/frames.contract.ts'
import { guarded } from '../../src/store/guarded/guarded.ts'
import { openRemote } from '../../src/store/remote/open-remote.ts'

const over = (scheme: string) => async () => {
  const server = await temporaryServer()
  const place = server.url.replace('http', scheme)
  const end = guarded(await openRemote(place), { place })
  return {
    ...end,
    async [Symbol.asyncDispose]() {
      await end[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

blobStoreContract('guarded http, of recue serve', over('http'))
actionStoreContract('guarded http, of recue serve', over('http'), {
  'is found by who knows only the hash of the action, whatever size it was put under': 'nothing says a size there',
  removes: 'the layout has no word for it',
})
blobStoreContract('guarded reapi, of recue serve', over('grpc'))
framesContract('guarded reapi, of recue serve', async () => {
  const end = await over('grpc')()
  return { ...end, frames: end.frames as Frames }
})
