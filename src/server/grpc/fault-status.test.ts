import { expect, test } from 'vitest'
import { CacheError, type ErrorCode } from '../../errors.ts'
import { GrpcCode } from '../../grpc/status.ts'
import { statusOf } from './fault-status.ts'

test.each<[ErrorCode, GrpcCode]>([
  ['remote.unreachable', GrpcCode.UNAVAILABLE],
  ['remote.timed-out', GrpcCode.UNAVAILABLE],
  ['store.full', GrpcCode.RESOURCE_EXHAUSTED],
  ['store.incomplete', GrpcCode.FAILED_PRECONDITION],
  ['store.read-only', GrpcCode.RESOURCE_EXHAUSTED],
  ['remote.denied', GrpcCode.INTERNAL],
])('of storage that says %s a client hears %i, and nothing that was meant for the log', (code, status) => {
  const told = statusOf(
    new CacheError(code, 's3://secret-bucket at /home/somebody', {
      ...{ hint: 'secret', context: { server: 's3://secret-bucket' } },
    }),
  )
  expect(told.code).toBe(status)
  expect(told.message).not.toMatch(/secret|home/)
})
