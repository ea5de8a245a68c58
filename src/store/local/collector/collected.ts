import type { Leases } from '../../contracts.ts'
import type { Compression } from '../compression.ts'
import type { IndexDb } from '../index-db.ts'
import type { Journal } from '../journal.ts'
import type { Layout } from '../layout.ts'
import type { PeekBlob } from './collector-marks.ts'
import type { PolicyName } from './eviction-order.ts'
import type { Quota } from './quota.ts'

/** What a collection works on. */
export interface Collected {
  readonly layout: Layout
  readonly index: IndexDb
  readonly journal: Journal
  readonly leases: Leases
  readonly quota: Quota
  readonly policy: PolicyName
  readonly readOnly: boolean
  readonly peek: PeekBlob
  readonly compression: Compression
  readonly now: () => number
  /** Writes down the access marks that this process still gathers. */
  readonly flushMarks: () => Promise<void>
}
