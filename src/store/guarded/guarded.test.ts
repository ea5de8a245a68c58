import { temporaryServer } from '../../server/temporary-server.fixture.ts'
import { actionStoreContract } from '../action-store.contract.ts'
import { blobStoreContract } from '../blob-store.contract.ts'
import type { Frames } from '../contracts.ts'
import { framesContract } from '../frames.contract.ts'
import { memoryStore } from '../memory/memory-store.ts'
import { openRemote } from '../remote/open-remote.ts'
import { guarded } from './guarded.ts'

const overMemory = async () => guarded({ ...memoryStore(), async [Symbol.asyncDispose]() {} }, { place: 'memory' })

const overHttp = async () => {
  const server = await temporaryServer()
  const end = guarded(await openRemote(server.url), { place: server.url })
  return {
    ...end,
    async [Symbol.asyncDispose]() {
      await end[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

const overReapi = async () => {
  const server = await temporaryServer()
  const address = server.url.replace('http', 'grpc')
  const end = guarded(await openRemote(address), { place: address })
  return {
    ...{ ...end, frames: end.frames as Frames },
    async [Symbol.asyncDispose]() {
      await end[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

framesContract('guarded reapi, of recue serve', overReapi)
blobStoreContract('guarded reapi, of recue serve', overReapi)
blobStoreContract('guarded memory', overMemory)
actionStoreContract('guarded memory', overMemory)
blobStoreContract('guarded http, of recue serve', overHttp)
actionStoreContract('guarded http, of recue serve', overHttp, {
  'is found by who knows only the hash of the action, whatever size it was put under': 'nothing says a size there',
  removes: 'the layout has no word for it',
})
