import { expect, test } from 'vitest'
import { withTerminal } from './child-terminal.ts'

const terminal = { columns: 100, colours: true }

test('without a terminal the command is told of none', () => {
  expect(withTerminal({ TERM: 'xterm' }, undefined)).toEqual({ variables: { TERM: 'xterm' }, colourForced: false })
})

test('a terminal is told by its width and its colours', () => {
  expect(withTerminal({}, terminal)).toEqual({ variables: { COLUMNS: '100', FORCE_COLOR: '1' }, colourForced: true })
  expect(withTerminal({ TERM: 'xterm-256color' }, terminal).variables.FORCE_COLOR).toBe('2')
  expect(withTerminal({ COLORTERM: 'truecolor' }, terminal).variables.FORCE_COLOR).toBe('3')
})

test('NO_COLOR wins, unless it is empty', () => {
  expect(withTerminal({ NO_COLOR: '1' }, terminal)).toEqual({
    variables: { NO_COLOR: '1', COLUMNS: '100' },
    colourForced: false,
  })
  expect(withTerminal({ NO_COLOR: '' }, terminal).colourForced).toBe(true)
})

test('what the person has set stays', () => {
  const { variables, colourForced } = withTerminal({ COLUMNS: '80', FORCE_COLOR: '0' }, terminal)
  expect(variables).toEqual({ COLUMNS: '80', FORCE_COLOR: '0' })
  expect(colourForced).toBe(false)
})
