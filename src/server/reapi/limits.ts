import { CHUNK_SIZES } from '../../store/local/chunked-writer.ts'

/**
 * Content bytes that one batch call may bring or fetch: REAPI's `max_batch_total_size_bytes`. Clients take messages of 4 MiB
 * unless told otherwise, and what is left of those has room for the digests of 2,000 blobs.
 */
export const MAX_BATCH_BYTES = 4_000_000

/** REAPI's `fast_cdc_2020_params`, with the seed 0: the store's own, so that chunks of one are chunks of the other. */
export const AVERAGE_CHUNK_BYTES: number = CHUNK_SIZES.average
