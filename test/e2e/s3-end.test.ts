import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { installed } from '../../bench/installed.ts'
import { digestOf } from '../../src/digest/sha256.ts'
import { action, actionStoreContract, result } from '../../src/store/action-store.contract.ts'
import { blobNamesContract } from '../../src/store/blob-names.contract.ts'
import { blobStoreContract } from '../../src/store/blob-store.contract.ts'
import { type BlobNames, type Frames, DEFAULT_SCOPE as scope } from '../../src/store/contracts.ts'
import { framesContract } from '../../src/store/frames.contract.ts'
import { readWhole } from '../../src/store/read-whole.ts'
import { openRemote } from '../../src/store/remote/open-remote.ts'
import { BUCKET, S3_CREDENTIALS as credentials, S3_SERVER, type S3Server, s3Server } from './s3-server.ts'
import { skipIf } from './skip-if.ts'

/** The contracts of stores, kept by a bucket of an S3-compatible store that is not ours, and what is particular to one. */
const addressIn = ({ endpoint }: S3Server, prefix = 'team/cache') => `s3://${BUCKET}/${prefix}?endpoint=${endpoint}`

const openIn = (server: S3Server, prefix?: string) => openRemote(addressIn(server, prefix), { s3: { credentials } })

async function open() {
  const server = await s3Server()
  const end = await openIn(server)
  return {
    ...end,
    async [Symbol.asyncDispose]() {
      await end[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

function filesIn(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name, parentPath }) => path.relative(folder, path.join(parentPath, name)))
}

if (!installed(S3_SERVER)) {
  test('the S3 end', (context) => skipIf(`${S3_SERVER} is not installed`, context))
} else {
  blobStoreContract(`s3, of ${S3_SERVER}`, open)
  actionStoreContract(`s3, of ${S3_SERVER}`, open)
  framesContract(`s3, of ${S3_SERVER}`, async () => {
    const { frames, ...end } = await open()
    return { ...end, frames: frames as Frames }
  })
  blobNamesContract(`s3, of ${S3_SERVER}`, async () => {
    const { names, ...end } = await open()
    return { ...end, names: names as BlobNames }
  })
  describe('a bucket', () => {
    test('holds objects under the names that the format’s description gives', async () => {
      await using server = await s3Server()
      await using end = await openIn(server)
      const bytes = Buffer.from('some content')
      const { hash } = digestOf(bytes)
      await end.blobs.write(scope, digestOf(bytes), bytes)
      await end.actions.put({ instance: 'team/app' }, action('a'), result([digestOf(bytes)]))
      const { hash: a } = action('a')
      expect(filesIn(server.objects).sort()).toEqual([
        `team/cache/ac/team_2Fapp/${a.slice(0, 2)}/${a}`,
        `team/cache/cas/${hash.slice(0, 2)}/${hash}-12`,
      ])
      expect(readFileSync(path.join(server.objects, `team/cache/cas/${hash.slice(0, 2)}/${hash}-12`))).toEqual(bytes)
    })

    test('has prefixes that know nothing of each other', async () => {
      await using server = await s3Server()
      await using one = await openIn(server, '')
      await using other = await openIn(server, 'odd & (names), 100%25 “safe”')
      const bytes = randomBytes(1000)
      for (const [end, rest] of [
        [one, other],
        [other, undefined],
      ] as const) {
        await end.blobs.write(scope, digestOf(bytes), bytes)
        await end.actions.put(scope, action('a'), result([digestOf(bytes)]))
        expect(await end.actions.get(scope, action('a'))).toMatchObject({ kind: 'hit' })
        if (rest !== undefined) expect(await rest.blobs.missing(scope, [digestOf(bytes)])).toHaveLength(1)
      }
      expect(filesIn(server.objects).filter((name) => name.startsWith('odd & (names), 100% “safe”/cas/'))).toHaveLength(
        1,
      )
    })

    test('keeps a large blob in parts, and nothing of one that is not what its digest says', async () => {
      await using server = await s3Server()
      const [right, wrong] = [randomBytes(30 << 20), randomBytes(30 << 20)]
      {
        await using end = await openIn(server)
        await end.blobs.write(scope, digestOf(right), right)
        const found = await readWhole(end.blobs, scope, digestOf(right))
        expect(
          createHash('sha256')
            .update(found ?? '')
            .digest('hex'),
        ).toBe(digestOf(right).hash)
        async function* lie() {
          for (let at = 0; at < right.length; at += 1 << 20) yield right.subarray(at, at + (1 << 20))
        }
        await expect(end.blobs.write(scope, digestOf(wrong), lie())).rejects.toMatchObject({ code: 'store.corrupt' })
      }
      expect(filesIn(server.objects)).toHaveLength(1)
    })

    test('whose object was damaged gives nothing of it, says that it is missing, and takes it anew', async () => {
      await using server = await s3Server()
      await using end = await openIn(server)
      const bytes = randomBytes(5000)
      const digest = digestOf(bytes)
      await end.blobs.write(scope, digest, bytes)
      await end.actions.put(scope, action('a'), result([digest]))
      const file = path.join(server.objects, filesIn(server.objects).find((name) => name.includes('/cas/')) ?? '')
      const damaged = Buffer.from(bytes)
      damaged[4000] = 255 - (damaged[4000] as number)
      writeFileSync(file, damaged)
      expect(await readWhole(end.blobs, scope, digest)).toBeUndefined()
      expect(await end.actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'incomplete' })
      await end.blobs.write(scope, digest, bytes)
      expect(readFileSync(file).equals(bytes)).toBe(true)
      expect(await end.actions.get(scope, action('a'))).toMatchObject({ kind: 'hit' })
    })

    test('whose action result was damaged, or lies under another’s name, has none', async () => {
      await using server = await s3Server()
      await using end = await openIn(server)
      for (const name of ['a', 'b']) await end.actions.put(scope, action(name), { ...result([]), exitCode: 3 })
      const fileOf = (name: string) => {
        const { hash } = action(name)
        return path.join(server.objects, 'team/cache/ac/_', hash.slice(0, 2), hash)
      }
      writeFileSync(fileOf('b'), readFileSync(fileOf('a')))
      expect(await end.actions.get(scope, action('b'))).toEqual({ kind: 'miss', why: 'corrupt' })
      writeFileSync(fileOf('a'), readFileSync(fileOf('a')).subarray(0, -1))
      expect(await end.actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'corrupt' })
    })

    test('is not opened by another’s key, and one that is not there is told of', async () => {
      await using server = await s3Server()
      const [secret, accessKey] = [{ secretAccessKey: 'another' }, { accessKeyId: 'AKIDNOBODY' }]
      for (const [where, keys, code, message] of [
        [`${BUCKET}?`, secret, 'remote.denied', /SignatureDoesNotMatch/],
        [`${BUCKET}?`, accessKey, 'remote.denied', /does not know the access key/],
        ['another-bucket?', {}, 'remote.incompatible', /no such bucket/],
        [`${BUCKET}?region=eu-west-1&`, {}, 'remote.incompatible', /lies in the region us-east-1, not in eu-west-1/],
      ] as const) {
        const address = `s3://${where}endpoint=${server.endpoint}`
        await using end = await openRemote(address, { s3: { credentials: { ...credentials, ...keys } } })
        const fault = { code, message: expect.stringMatching(message) }
        await expect(end.actions.get(scope, action('a'))).rejects.toMatchObject(fault)
        const bytes = Buffer.from('x')
        await expect(end.blobs.write(scope, digestOf(bytes), bytes)).rejects.toMatchObject(fault)
        const isHere = end.blobs.missing(scope, [digestOf(bytes)])
        if (keys !== accessKey && where !== 'another-bucket?') await expect(isHere).rejects.toMatchObject(fault)
        else expect(await isHere).toHaveLength(1)
      }
    })
  })
}
