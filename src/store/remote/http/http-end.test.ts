import { temporaryServer } from '../../../server/temporary-server.fixture.ts'
import { actionStoreContract } from '../../action-store.contract.ts'
import { blobStoreContract } from '../../blob-store.contract.ts'
import { openRemote } from '../open-remote.ts'

const open = async () => {
  const server = await temporaryServer()
  const end = await openRemote(server.url)
  return {
    ...end,
    async [Symbol.asyncDispose]() {
      await end[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

const UNABLE = {
  'is found by who knows only the hash of the action, whatever size it was put under': 'nothing says a size there',
  removes: 'the layout has no word for it',
}

blobStoreContract('http, of recue serve', open)
actionStoreContract('http, of recue serve', open, UNABLE)
