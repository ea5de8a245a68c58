import { mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { call, missingProgram, writeFiles } from '../clients/calls.ts'
import { sandbox } from '../runtimes.ts'
import { WRITE_TOKEN } from '../served.ts'
import { skipIf } from '../skip-if.ts'
import { fresh } from './blobs.ts'
import { conformance } from './peer.ts'

conformance('Remote Asset', (peer) => {
  test('is where Bazel finds what it should download: by checksum, and by a URI that was pushed', async (context) => {
    skipIf(missingProgram('bazel'), context)
    const [summed, pushed] = [fresh(1_000), fresh(2_000)]
    const { hash } = await peer.keep(summed)
    const uris = ['https://origin.invalid/pushed']
    await peer.call('Push/PushBlob', { uris, blobDigest: await peer.keep(pushed) })
    await using box = sandbox('bazel-downloads')
    const root = path.join(box.folder, 'project')
    mkdirSync(root)
    const file = (name: string, more: string) =>
      `http_file(name="${name}", urls=["https://origin.invalid/${name}"]${more})`
    writeFiles(root, {
      WORKSPACE: `load("@bazel_tools//tools/build_defs/repo:http.bzl", "http_file")
${file('summed', `, sha256="${hash}"`)}\n${file('pushed', '')}`,
      BUILD: ['summed', 'pushed']
        .map((name) => `genrule(name="${name}", srcs=["@${name}//file"], outs=["${name}.bin"], cmd="cat $< > $@")\n`)
        .join(''),
    })
    const at = new URL(peer.url).host
    const bazel = (...words: string[]) => call(root, 'bazel', [`--output_user_root=${box.folder}/bazel`, ...words])
    const token = `--remote_header=authorization=Bearer ${WRITE_TOKEN}`
    const flags = [`--remote_cache=grpc://${at}`, `--experimental_remote_downloader=grpc://${at}`, token]
    try {
      const { status, stdout, stderr } = await bazel('build', ...flags, '//:summed', '//:pushed')
      expect([status, status === 0 ? '' : stdout + stderr]).toEqual([0, ''])
      for (const [name, bytes] of Object.entries({ summed, pushed }))
        expect(readFileSync(path.join(root, `bazel-bin/${name}.bin`)).equals(bytes)).toBe(true)
    } finally {
      await bazel('shutdown')
    }
  })
})
