import type { Digest } from '../../digest/digest.ts'

/** What came of a restore. */
export type RestoreOutcome =
  | {
      readonly kind: 'restored'
      /** Root-relative files and links of the result, sorted. */
      readonly files: readonly string[]
      /** How many of them had to be written. */
      readonly written: number
      /** Content of all files. */
      readonly bytes: number
      /** Things of the user's that were in the way, now in the trash. */
      readonly trashed: readonly string[]
      /** Stale things that are not recue's to touch. */
      readonly left: readonly string[]
    }
  /** A blob of the result is gone: nothing was touched. */
  | { readonly kind: 'incomplete'; readonly digest: Digest }
  /** It would have cost something of the user's: nothing was touched. */
  | { readonly kind: 'refused'; readonly reason: string }
