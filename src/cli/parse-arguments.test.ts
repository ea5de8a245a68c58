import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseArguments } from './parse-arguments.ts'
import { ALL_OPTIONS } from './settings.ts'

const parse = (...argv: string[]) => {
  const { given, args, commandLine } = parseArguments(argv, ALL_OPTIONS)
  return { ...Object.fromEntries(given), args, commandLine }
}

test('long and short, joined and apart, before and after words', () => {
  expect(parse('build', '--input', 'a', '--input=b=c', '-i', 'd', '-ie', '-fq', 'test', '--no-clean')).toEqual({
    input: ['a', 'b=c', 'd', 'e'],
    force: ['true'],
    quiet: ['true'],
    clean: ['false'],
    args: ['build', 'test'],
    commandLine: undefined,
  })
})

test('everything after -- belongs to the command', () => {
  expect(parse('-f', '--', 'npm', 'test', '--', '--force')).toEqual({
    force: ['true'],
    args: [],
    commandLine: ['npm', 'test', '--', '--force'],
  })
})

test('a value may look like an option, but -- never is one', () => {
  expect(parse('-i', '-x')).toMatchObject({ input: ['-x'] })
  expect(() => parse('--input', '--', 'ls')).toThrow('--input needs a value.')
  expect(() => parse('-i')).toThrow('-i needs a value.')
})

test('an unknown option says what was meant', () => {
  expect(() => parse('--froce')).toThrow(expect.objectContaining({ code: 'usage', hint: 'Did you mean --force?' }))
  expect(() => parse('--no-claen')).toThrow(expect.objectContaining({ hint: 'Did you mean --no-clean?' }))
  expect(() => parse('--no-salt')).toThrow('There is no option --no-salt.')
  expect(() => parse('-z')).toThrow('There is no option -z.')
})

test('whatever stands after -- arrives as it is', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (words) => {
      expect(parse('--', ...words).commandLine).toEqual(words)
    }),
  )
})

test('no command line makes it fail with anything but a mistake of the user', () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom('--', '-', '--input', '-i', '--force', '-fq', '--=', '--no-', '-='),
  )
  fc.assert(
    fc.property(fc.array(word), (words) => {
      try {
        parse(...words)
      } catch (error) {
        expect(error).toMatchObject({ code: 'usage' })
      }
    }),
  )
})
