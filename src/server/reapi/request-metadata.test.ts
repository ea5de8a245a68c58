import { expect, test } from 'vitest'
import { RequestMetadata } from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { rawMetadata, requestMetadata } from './request-metadata.ts'

const HEADER = 'build.bazel.remote.execution.v2.requestmetadata-bin'
const sent: RequestMetadata = {
  toolDetails: { toolName: 'bazel', toolVersion: '8.0' },
  actionId: 'ab',
  toolInvocationId: 'invocation',
  correlatedInvocationsId: 'build',
  actionMnemonic: 'CppCompile',
  targetId: '//a:b',
  configurationId: 'k8',
}
const encoded = Buffer.from(RequestMetadata.encode(sent).finish()).toString('base64')

test.each([
  ['padded', encoded],
  ['not padded', encoded.replace(/=+$/, '')],
  [
    'sent twice, of which the first counts',
    `${encoded},${Buffer.from(RequestMetadata.encode({ ...sent, targetId: 'other' }).finish()).toString('base64')}`,
  ],
])('says who asks and for what: %s', (_, value) => {
  expect(requestMetadata(rawMetadata({ [HEADER]: value }))).toEqual(sent)
})

test.each([
  ['absent', undefined],
  ['no message', Buffer.from('\xff\xff\xff').toString('base64')],
  ['endless', 'A'.repeat(10_000)],
])('is nothing where it is %s', (_, value) => {
  expect(requestMetadata(rawMetadata(value === undefined ? {} : { [HEADER]: value }))).toBeUndefined()
})
