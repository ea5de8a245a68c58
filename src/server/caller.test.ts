import type { IncomingHttpHeaders } from 'node:http'
import { expect, test } from 'vitest'
import { RequestMetadata } from '../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { callerOf, saidIn } from './caller.ts'

const metadata = (toolName: string, actionMnemonic = '', more: Partial<RequestMetadata> = {}) => {
  const whole = {
    ...RequestMetadata.decode(new Uint8Array(0)),
    toolDetails: { toolName, toolVersion: '1' },
    actionMnemonic,
    ...more,
  }
  return {
    'build.bazel.remote.execution.v2.requestmetadata-bin': Buffer.from(RequestMetadata.encode(whole).finish()).toString(
      'base64',
    ),
  }
}

test.each<[string, IncomingHttpHeaders, string, string]>([
  ['its metadata', { ...metadata('bazel', 'CppCompile'), 'user-agent': 'grpc-java-netty/1.0' }, 'bazel', 'CppCompile'],
  ['its user agent', { 'user-agent': 'moon tonic/0.12' }, 'moon', ''],
  ['its user agent where metadata name none', { ...metadata('', 'Javac'), 'user-agent': 'Pants/2' }, 'pants', 'Javac'],
  ['nothing but a library', { 'user-agent': 'grpc-node-js/1.14' }, 'unknown', ''],
  ['nothing', {}, 'unknown', ''],
  ['what no terminal should get', metadata('ba\x1b[31mzel', '\x07Javac'), 'ba31mzel', 'Javac'],
  ['far too much', metadata('x'.repeat(1_000)), 'x'.repeat(60), ''],
])('a tool is known by %s', (_, headers, tool, task) => {
  expect(callerOf(headers)).toEqual({ tool, task })
})

test('for a log, a client is asked for more', () => {
  const headers = metadata('bazel', 'Javac', { targetId: '//a:b\n', toolInvocationId: 'one' })
  expect(saidIn(headers)).toEqual({ tool: 'bazel', task: 'Javac', target: '//a:b', invocation: 'one' })
  expect(saidIn({ 'user-agent': 'moon/1' })).toBeUndefined()
})
