/**
 * Goes up whenever the same request is to get another key: when what is in the key, or how, changes. Results kept under
 * the old one are then never found again.
 */
export const KEY_VERSION = 1
