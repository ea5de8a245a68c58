import { GrpcCode } from '../../grpc/status.ts'
import type { DescribedFile } from '../../proto/descriptors.ts'
import {
  ServerReflectionDefinition,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from '../../proto/grpc/reflection/v1/reflection.ts'
import { type GrpcMethod, grpcService } from './service.ts'

type Answer = ServerReflectionResponse['messageResponse']

const UNDER_ITS_OLD_NAME = { ...ServerReflectionDefinition, fullName: 'grpc.reflection.v1alpha.ServerReflection' }

/**
 * Tells tools such as grpcurl which services there are and of what their messages are made
 * (https://github.com/grpc/grpc/blob/master/doc/server-reflection.md). `services`: their full names.
 */
export function reflectionService(services: readonly string[]): GrpcMethod[] {
  const names = [...services, ServerReflectionDefinition.fullName].sort()
  return [ServerReflectionDefinition, UNDER_ITS_OLD_NAME].flatMap((definition) =>
    grpcService(definition, {
      serverReflectionInfo: ['none', (requests) => answersTo(requests, names)],
    }),
  )
}

async function* answersTo(
  requests: AsyncIterable<ServerReflectionRequest>,
  services: readonly string[],
): AsyncGenerator<ServerReflectionResponse> {
  for await (const originalRequest of requests) {
    // Loaded when it is asked for: most servers are never.
    const { DESCRIBED_FILES } = await import('../../proto/descriptors.ts')
    const messageResponse = answerTo(originalRequest.messageRequest, services, DESCRIBED_FILES)
    yield { validHost: originalRequest.host, originalRequest, messageResponse }
  }
}

function answerTo(
  request: ServerReflectionRequest['messageRequest'],
  services: readonly string[],
  files: readonly DescribedFile[],
): Answer {
  switch (request?.$case) {
    case 'listServices':
      return {
        $case: 'listServicesResponse',
        listServicesResponse: { service: services.map((name) => ({ name })) },
      }
    case 'fileByFilename':
      return withDependencies(
        files.find(({ name }) => name === request.fileByFilename),
        files,
      )
    case 'fileContainingSymbol':
      return withDependencies(
        files.find(({ symbols }) => symbols.includes(request.fileContainingSymbol)),
        files,
      )
    case 'allExtensionNumbersOfType':
      return {
        $case: 'allExtensionNumbersResponse',
        allExtensionNumbersResponse: { baseTypeName: request.allExtensionNumbersOfType, extensionNumber: [] },
      }
    case 'fileContainingExtension':
      return refused(GrpcCode.NOT_FOUND, 'There are no extensions here.')
    default:
      return refused(GrpcCode.INVALID_ARGUMENT, 'The request asks for nothing that is known.')
  }
}

/** The file first. */
function withDependencies(file: DescribedFile | undefined, files: readonly DescribedFile[]): Answer {
  if (file === undefined) return refused(GrpcCode.NOT_FOUND, 'No file has that.')
  const needed = new Set([file])
  for (const { dependencies } of needed)
    for (const dependency of files) if (dependencies.includes(dependency.name)) needed.add(dependency)
  const fileDescriptorProto = [...needed].map(({ descriptor }) => Buffer.from(descriptor, 'base64'))
  return { $case: 'fileDescriptorResponse', fileDescriptorResponse: { fileDescriptorProto } }
}

function refused(errorCode: number, errorMessage: string): Answer {
  return { $case: 'errorResponse', errorResponse: { errorCode, errorMessage } }
}
