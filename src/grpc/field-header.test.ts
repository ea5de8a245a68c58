import { BinaryWriter } from '@bufbuild/protobuf/wire'
import { expect, it } from 'vitest'
import { fieldHeader } from './field-header.ts'

it.each([0, 1, 127, 128, 129, 255, 16_383, 16_384, 2 ** 21, 2 ** 31 - 1])('says that %i bytes follow', (length) => {
  expect(fieldHeader(0x52, length)).toEqual(new BinaryWriter().uint32(0x52).uint32(length).finish())
})
