import { expect, test } from 'vitest'
import { gateOf, OPEN } from './access.ts'

const READ = 'read-token-0123456789'
const WRITE = 'write-token-0123456789'
const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`

test.each([
  ['a bearer token', `Bearer ${WRITE}`, 'write'],
  ['whatever the case of the scheme', `bearer ${READ}`, 'read'],
  ['the password, whoever shows it', basic(`anybody:${READ}`), 'read'],
  ['a password for nobody', basic(`:${WRITE}`), 'write'],
  ['nothing', undefined, 'none'],
  ['an empty header', '', 'none'],
  ['another token', 'Bearer another-token-0123456789', 'none'],
  ['the beginning of a token', `Bearer ${WRITE.slice(0, -1)}`, 'none'],
  ['a token as the user', basic(`${WRITE}:x`), 'none'],
  ['a token with no password', basic(WRITE), 'none'],
  ['another scheme', `Digest ${WRITE}`, 'none'],
  ['two words', `Bearer ${WRITE} ${READ}`, 'none'],
])('%s', (_name, authorization, access) => {
  expect(gateOf(`read ${READ}\n\n# for CI\n  write ${WRITE}  \n`, 'tokens').accessOf(authorization)).toBe(access)
})

test('a token that stands there twice may what either says', () => {
  for (const text of [`read ${READ}\nwrite ${READ}`, `write ${READ}\nread ${READ}`])
    expect(gateOf(text, 'tokens').accessOf(`Bearer ${READ}`)).toBe('write')
})

test('open, nobody has to show one', () => {
  expect(OPEN.accessOf(undefined)).toBe('write')
  expect([OPEN.isOpen, gateOf(`read ${READ}`, 'tokens').isOpen]).toEqual([true, false])
})

test.each([
  ['no token at all', '# nothing\n', 'tokens holds no token.'],
  ['another right', `read ${READ}\nadmin ${WRITE}`, 'tokens, line 2: is neither "read TOKEN" nor "write TOKEN".'],
  ['too many words', `read ${READ} please`, 'tokens, line 1: is neither "read TOKEN" nor "write TOKEN".'],
  ['a word too few', 'read', 'tokens, line 1: is neither "read TOKEN" nor "write TOKEN".'],
  ['a short token', 'read secret', 'tokens, line 1: has a token of less than 16 characters.'],
])('%s is refused, without saying what stands there', (_name, text, message) => {
  expect(() => gateOf(text, 'tokens')).toThrow(expect.objectContaining({ code: 'config.invalid', message }))
})
