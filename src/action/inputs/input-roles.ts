/** Why a path is in a snapshot of inputs; bits of one byte. */
export const Role = {
  /** A file or link of the input tree. */
  input: 1,
  /** A folder whose names were listed: the same identity means the same names. */
  listed: 2,
  /** It decides what the inputs are: a `.gitignore`, a list, git's index, a path that is missing. Any change means listing again. */
  decides: 4,
  /** git's index: a change may mean nothing. */
  index: 8,
} as const
