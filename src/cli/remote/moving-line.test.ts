import { expect, test } from 'vitest'
import { tellRemote } from '../../store/tiered/remote-events.ts'
import { MovingLine } from './moving-line.ts'

test('says what is on its way, in both directions, and nothing once all is over', () => {
  const line = new MovingLine()
  const tell = (kind: 'due' | 'moved' | 'lost', direction: 'up' | 'down', blobs: number, bytes: number) =>
    tellRemote({ kind, direction, place: 'grpc://cache', blobs, bytes })
  expect(line.text()).toBe('')
  tell('due', 'up', 3, 3_000_000)
  expect(line.text()).toBe('sending 0 of 3 files (0 B of 3.0 MB)')
  tell('moved', 'up', 1, 1_000_000)
  tell('due', 'down', 2, 2_000)
  expect(line.text()).toBe('sending 1 of 3 files (1.0 MB of 3.0 MB), fetching 0 of 2 files (0 B of 2.0 kB)')
  tell('moved', 'down', 2, 2_000)
  tell('lost', 'up', 2, 2_000_000)
  expect(line.text()).toBe('')
})

test('is shown on a terminal alone', () => {
  const written: string[] = []
  const terminal = { isTerminal: false, colours: false, columns: 80, paint: (_: string, text: string) => text }
  const write = (text: Uint8Array | string) => void written.push(String(text))
  expect(new MovingLine().show({ terminal, write, line: () => undefined })).toBe(undefined)
  using _shown = new MovingLine().show({ terminal: { ...terminal, isTerminal: true }, write, line: () => undefined })
  expect(written).toEqual([])
})
