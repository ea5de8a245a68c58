/**
 * Content bytes that one batch call may bring or fetch: REAPI's `max_batch_total_size_bytes`. Clients take messages of 4 MiB
 * unless told otherwise, and what is left of those has room for the digests of 2,000 blobs.
 */
export const MAX_BATCH_BYTES = 4_000_000
