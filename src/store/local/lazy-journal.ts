import type { Journal, JournalOptions } from './journal.ts'

/** The journal, loaded by the first write: a run that hits writes nothing. */
export function lazyJournal(options: JournalOptions): Journal {
  let opening: Promise<Journal> | undefined
  const open = () => {
    opening ??= import('./journal.ts').then(({ openJournal }) => openJournal(options))
    return opening
  }
  return {
    commit: async (records, apply) => (await open()).commit(records, apply),
    pin: async () => (await open()).pin(),
    rotate: async () => (await open()).rotate(),
    async [Symbol.asyncDispose]() {
      await (await opening)?.[Symbol.asyncDispose]()
    },
  }
}
