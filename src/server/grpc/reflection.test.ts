import { fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { Client, credentials } from '@grpc/grpc-js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Listening, listening } from '../../../test/fixtures/grpc-listening.ts'
import { ServerReflectionRequest, ServerReflectionResponse } from '../../proto/grpc/reflection/v1/reflection.ts'
import { gateOf } from '../access.ts'
import { grpcServer } from './grpc-server.ts'
import { reflectionService } from './reflection.ts'

const BYTE_STREAM = 'google.bytestream.ByteStream'
const CAS = 'build.bazel.remote.execution.v2.ContentAddressableStorage'

let listener: Listening
let client: Client

beforeAll(async () => {
  const methods = reflectionService([CAS, BYTE_STREAM])
  listener = await listening(grpcServer({ methods, gate: gateOf('read some-token-0123456789', 'tokens') }))
  client = new Client(`127.0.0.1:${listener.port}`, credentials.createInsecure())
})
afterAll(async () => {
  client.close()
  await listener[Symbol.asyncDispose]()
})

type Asked = ServerReflectionRequest['messageRequest']

/** One stream for all, each asked when the one before it is answered. */
async function ask(asked: readonly Asked[], version = 'v1'): Promise<ServerReflectionResponse['messageResponse'][]> {
  const call = client.makeBidiStreamRequest(
    `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    (request: ServerReflectionRequest) => Buffer.from(ServerReflectionRequest.encode(request).finish()),
    (bytes) => ServerReflectionResponse.decode(bytes),
  )
  const answers: ServerReflectionResponse['messageResponse'][] = []
  const next = () => {
    if (answers.length === asked.length) call.end()
    else call.write({ host: 'me', messageRequest: asked[answers.length] })
  }
  next()
  for await (const answer of call as AsyncIterable<ServerReflectionResponse>) {
    expect(answer.validHost).toBe('me')
    answers.push(answer.messageResponse)
    next()
  }
  return answers
}

const symbol = (fileContainingSymbol: string): Asked => ({ $case: 'fileContainingSymbol', fileContainingSymbol })
const file = (fileByFilename: string): Asked => ({ $case: 'fileByFilename', fileByFilename })

function filesIn(answer: ServerReflectionResponse['messageResponse']): string[] {
  if (answer?.$case !== 'fileDescriptorResponse') throw new Error(`answered ${JSON.stringify(answer)}`)
  return answer.fileDescriptorResponse.fileDescriptorProto.map(
    (bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name,
  )
}

test.each(['v1', 'v1alpha'])('%s lists the services', async (version) => {
  expect(await ask([{ $case: 'listServices', listServices: '' }], version)).toEqual([
    {
      $case: 'listServicesResponse',
      listServicesResponse: {
        service: [CAS, BYTE_STREAM, 'grpc.reflection.v1.ServerReflection'].map((name) => ({ name })),
      },
    },
  ])
})

test('a file comes with all that it needs, by its name or by what is in it', async () => {
  const answers = await ask([
    file('google/bytestream/bytestream.proto'),
    symbol(BYTE_STREAM),
    symbol(`${BYTE_STREAM}.Write`),
    symbol(CAS),
    symbol('build.bazel.remote.execution.v2.BatchUpdateBlobsRequest.Request'),
  ])
  const [byName, bySymbol, byMethod, cas, nested] = answers.map(filesIn)
  expect(byName).toEqual(['google/bytestream/bytestream.proto'])
  expect([bySymbol, byMethod]).toEqual([byName, byName])
  expect(cas?.[0]).toBe('build/bazel/remote/execution/v2/cache_services.proto')
  expect(cas).toContain('google/protobuf/timestamp.proto')
  expect(new Set(cas).size).toBe(cas?.length)
  expect(nested).toEqual(cas)
})

test('what is not there is said to be not there, and the stream goes on', async () => {
  const answers = await ask([
    symbol('no.such.Thing'),
    file('no/such.proto'),
    { $case: 'fileContainingExtension', fileContainingExtension: { containingType: 'x', extensionNumber: 1 } },
    { $case: 'allExtensionNumbersOfType', allExtensionNumbersOfType: 'x' },
    undefined,
    symbol(BYTE_STREAM),
  ])
  expect(
    answers.map((answer) => (answer?.$case === 'errorResponse' ? answer.errorResponse.errorCode : answer?.$case)),
  ).toEqual([5, 5, 5, 'allExtensionNumbersResponse', 3, 'fileDescriptorResponse'])
})
