import fc from 'fast-check'
import { expect, test } from 'vitest'
import { blockList, MOST_BLOCKS } from './block-list.ts'

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
const list = (inner: string) => `<?xml version="1.0" encoding="utf-8"?>\n<BlockList>${inner}</BlockList>`

test('gives names back in their order, however they are written', () => {
  const name = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme-ascii' }).map((text) => text.trim() || 'x')
  const kind = fc.constantFrom('Latest', 'Uncommitted', 'Committed')
  const space = fc.constantFrom('', '\n  ', ' ')
  fc.assert(
    fc.property(fc.array(fc.tuple(name, kind, space)), (blocks) => {
      const inner = blocks.map(([text, tag, gap]) => `${gap}<${tag}>${gap}${escaped(text)}${gap}</${tag}>`).join('')
      expect(blockList(list(inner))).toEqual(blocks.map(([text]) => text))
    }),
    { numRuns: 300 },
  )
})

test('reads characters by number, and leaves alone what is none', () => {
  expect(blockList(list('<Latest>QQ&#61;&#x3D;</Latest>'))).toEqual(['QQ=='])
  expect(blockList(list('<Latest>&unknown;&#9999999;&apos;&quot;</Latest>'))).toEqual([`&unknown;&#9999999;'"`])
})

test.each([
  '',
  'nonsense',
  '<BlockList>',
  '</BlockList><BlockList>',
  list('<Other>a</Other>'),
  list('a'),
  list('<Latest>a</Committed>'),
])('takes %s for none', (xml) => {
  expect(blockList(xml)).toBeUndefined()
})

test('of no block is of an empty blob; of more than Azure takes, none', () => {
  expect(blockList(list(''))).toEqual([])
  expect(blockList(list('<Latest>a</Latest>'.repeat(MOST_BLOCKS)))).toHaveLength(MOST_BLOCKS)
  expect(blockList(list('<Latest>a</Latest>'.repeat(MOST_BLOCKS + 1)))).toBeUndefined()
})
