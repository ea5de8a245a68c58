import { expect, test } from 'vitest'
import { CacheError } from '../errors.ts'
import { MISTAKE_EXIT, reportFailure } from './failure.ts'
import type { Stream } from './output.ts'

function reported(error: unknown, verbose = false) {
  const lines: string[] = []
  const terminal = { isTerminal: false, colours: false, columns: 80, paint: (_: unknown, text: string) => text }
  const stream: Stream = { terminal, line: (text = '') => void lines.push(text), write: () => undefined }
  return { code: reportFailure(error, stream, { verbose }), lines }
}

test('a bug says what to do, names no place that may not exist, and shows its stack only when asked to', () => {
  const { code, lines } = reported(new TypeError('x is not a function'))
  expect(code).toBe(MISTAKE_EXIT)
  expect(lines[0]).toBe('recue: this is a bug in recue: TypeError: x is not a function')
  expect(lines.join('\n')).not.toMatch(/https?:|at .*:\d+:\d+/)
  expect(reported(new TypeError('x'), true).lines.join('\n')).toMatch(/failure\.test\.ts:\d+/)
})

test('a mistake is its message on one line, and its hint', () => {
  const error = new CacheError('usage', 'No such\nthing.', { hint: 'Try another.' })
  expect(reported(error)).toEqual({ code: 125, lines: ['recue: No such\\nthing.', '       Try another.'] })
  expect(reported(new CacheError('command.not-found', 'x')).code).toBe(127)
})
