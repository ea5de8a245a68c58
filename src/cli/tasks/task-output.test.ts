import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Screen } from './screen.ts'
import { groupedOutput, heldOutput, prefixedOutput } from './task-output.ts'

function paper() {
  const written: { fd: 1 | 2; text: string }[] = []
  const screen: Screen = {
    write: (fd, bytes) => written.push({ fd, text: Buffer.from(bytes).toString() }) > 0,
    [Symbol.dispose]: () => {},
  }
  return {
    screen,
    of: (fd: 1 | 2) =>
      written
        .filter((one) => one.fd === fd)
        .map(({ text }) => text)
        .join(''),
    written,
  }
}

test('each whole line has its task before it, also when it comes in pieces', () => {
  const { screen, of } = paper()
  const output = prefixedOutput('build: ', screen)
  output.stdout(Buffer.from('one\ntw'))
  expect(of(1)).toBe('build: one\n')
  output.stderr(Buffer.from('oops\n'))
  output.stdout(Buffer.from('o\n\nlast'))
  output.end()
  expect(of(1)).toBe('build: one\nbuild: two\nbuild: \nbuild: last\n')
  expect(of(2)).toBe('build: oops\n')
})

test('taking the prefixes away gives what was written, however it was cut', () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[a-c\n]*$/)), (chunks) => {
      const { screen, of } = paper()
      const output = prefixedOutput('> ', screen)
      for (const chunk of chunks) output.stdout(Buffer.from(chunk))
      output.end()
      const whole = chunks.join('')
      const ended = whole === '' || whole.endsWith('\n') ? whole : `${whole}\n`
      expect(of(1).replace(/^> /gm, '')).toBe(ended)
    }),
  )
})

test('a group is shown whole under its name, streams in the order received; nothing for silence', () => {
  const { screen, written } = paper()
  const output = groupedOutput('── build', screen)
  output.stdout(Buffer.from('a'))
  output.stderr(Buffer.from('b'))
  expect(written).toEqual([])
  output.end()
  expect(written.map(({ text }) => text)).toEqual(['── build\n', 'a', 'b'])
  groupedOutput('── silent', screen).end()
  expect(written).toHaveLength(3)
})

test('held output comes when it is released, and not before', async () => {
  const seen: string[] = []
  const held = heldOutput({
    stdout: (chunk) => void seen.push(`1${Buffer.from(chunk)}`),
    stderr: (chunk) => void seen.push(`2${Buffer.from(chunk)}`),
  })
  await held.stdout(Buffer.from('a'))
  await held.stderr(Buffer.from('b'))
  expect(seen).toEqual([])
  await held.release()
  expect(seen).toEqual(['1a', '2b'])
})

test('what nobody reads any more is told, so that the task can be', () => {
  const screen: Screen = { write: (fd) => fd === 2, [Symbol.dispose]: () => {} }
  const lines = prefixedOutput('x: ', screen)
  expect(() => lines.stdout(Buffer.from('one\n'))).toThrow(expect.objectContaining({ code: 'EPIPE' }))
  lines.stderr(Buffer.from('two\n'))
  lines.end()
  const grouped = groupedOutput('x', screen)
  expect(() => grouped.stdout(Buffer.alloc(17 << 20))).toThrow(expect.objectContaining({ code: 'EPIPE' }))
  grouped.end()
})
