import { temporaryServer } from '../../../server/temporary-server.fixture.ts'
import { actionStoreContract } from '../../action-store.contract.ts'
import { blobStoreContract } from '../../blob-store.contract.ts'
import type { Frames } from '../../contracts.ts'
import { framesContract } from '../../frames.contract.ts'
import { openRemote } from '../open-remote.ts'

const open = async () => {
  const server = await temporaryServer()
  const end = await openRemote(server.url.replace('http:', 'grpc:'))
  return {
    ...{ ...end, frames: end.frames as Frames },
    async [Symbol.asyncDispose]() {
      await end[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

const UNABLE = {
  'gives back the result as it was put, with its digest': 'a server may move what was printed to a blob, and ours does',
  'is found by who knows only the hash of the action, whatever size it was put under':
    'REAPI names actions with their size',
  removes: 'REAPI has no word for it',
}

blobStoreContract('reapi, of recue serve', open)
actionStoreContract('reapi, of recue serve', open, UNABLE)
framesContract('reapi, of recue serve', open)
