import type { NamesPage, RecordKind, WorkspaceRecords } from '../contracts.ts'

/** Workspace records in a map. */
export function memoryRecords(): WorkspaceRecords {
  return new MemoryRecords()
}

class MemoryRecords implements WorkspaceRecords {
  readonly #records = new Map<string, Uint8Array>()

  load(kind: RecordKind, name: string): Uint8Array | undefined {
    return this.#records.get(`${kind} ${name}`)
  }

  async save(kind: RecordKind, name: string, record: Uint8Array): Promise<void> {
    this.#records.set(`${kind} ${name}`, new Uint8Array(record))
  }

  async remove(kind: RecordKind, name: string): Promise<void> {
    this.#records.delete(`${kind} ${name}`)
  }

  names(
    kind: RecordKind,
    prefix: string,
    { after = '', most = Number.POSITIVE_INFINITY }: Partial<NamesPage> = {},
  ): string[] {
    const start = `${kind} ${prefix}`
    const keys = [...this.#records.keys()].filter((key) => key.startsWith(start))
    const names = keys.map((key) => key.slice(kind.length + 1)).sort()
    return names.filter((name) => name > after).slice(0, most)
  }
}
