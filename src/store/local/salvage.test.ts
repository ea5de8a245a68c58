import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { scanSegment } from './salvage.ts'
import { encodeRecord, type SegmentRecord } from './segment.ts'

/** Of records of many lengths, so that heads and bodies lie across the borders of what is read at a time. */
function manyRecords(): SegmentRecord[] {
  return Array.from({ length: 1200 }, (_, i): SegmentRecord => {
    const name = digestOf(Buffer.from(`${i}`))
    // Their heads alone are longer than what is read at a time.
    if (i % 400 === 7) return { kind: 'blobs-removed', stampMs: i, hashes: Array(2500).fill(name.hash) }
    if (i % 5 === 3) {
      const digests = Array.from({ length: i % 90 }, () => name)
      return { kind: 'pack', stampMs: i, codec: 'raw', digests, body: Buffer.alloc((i * 97) % 9000, i) }
    }
    const result = Buffer.alloc(i % 300 === 1 ? 70_000 : (i * 31) % 700, i)
    return { kind: 'action', stampMs: i, instance: '', action: name, result }
  })
}

function written(bytes: Uint8Array): string {
  const dir = mkdtempSync(join(tmpdir(), 'recue-salvage-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const path = join(dir, 'segment')
  writeFileSync(path, bytes)
  return path
}

const bytesOf = (records: readonly SegmentRecord[]) => Buffer.concat(records.flatMap((one) => encodeRecord(one)))
const unread = (record: SegmentRecord) => (record.kind === 'pack' ? { ...record, body: new Uint8Array(0) } : record)

test('what was read of a segment stays as it was while the scan goes on', () => {
  const records = manyRecords()
  const found = [...scanSegment(written(bytesOf(records)), 1)]
  expect(found.map(({ record }) => unread(record))).toEqual(records.map(unread))
})

test('any part of a segment is scanned by itself', () => {
  const records = manyRecords()
  const path = written(bytesOf(records))
  const places = [...scanSegment(path, 1)].map(({ place }) => place)
  const [from = 0, to = 0] = [places[500]?.offset, places[900]?.offset]
  expect([...scanSegment(path, 1, { from, to })].map(({ place }) => place)).toEqual(places.slice(500, 900))
})

test('with heads alone the same is found, and results are empty', () => {
  const records = manyRecords()
  const path = written(bytesOf(records))
  const heads = [...scanSegment(path, 1, { headsOnly: true })]
  expect(heads.map(({ place }) => place)).toEqual([...scanSegment(path, 1)].map(({ place }) => place))
  const results = heads.flatMap(({ record }) => (record.kind === 'action' ? [record.result.length] : []))
  expect(results).toEqual(records.flatMap(({ kind }) => (kind === 'action' ? [0] : [])))
})

test('the last record is not found when a byte of it is missing', () => {
  const records = manyRecords().slice(0, 300)
  const bytes = bytesOf(records)
  expect([...scanSegment(written(bytes), 1)]).toHaveLength(300)
  expect([...scanSegment(written(bytes.subarray(0, -1)), 1)]).toHaveLength(299)
  expect([...scanSegment(written(bytes.subarray(0, -1)), 1, { headsOnly: true })]).toHaveLength(299)
})
