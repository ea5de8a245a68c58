import type { SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'

/** A prepared statement; rows are arrays in the order of the columns. */
export interface Statement {
  get(...values: SQLInputValue[]): SQLOutputValue[] | undefined
  all(...values: SQLInputValue[]): SQLOutputValue[][]
  iterate(...values: SQLInputValue[]): IterableIterator<SQLOutputValue[]>
  /** The number of rows changed. */
  run(...values: SQLInputValue[]): number
}

export class ArrayStatement implements Statement {
  readonly #statement: StatementSync
  readonly #fail: (error: unknown) => never

  constructor(statement: StatementSync, fail: (error: unknown) => never) {
    statement.setReturnArrays(true)
    this.#statement = statement
    this.#fail = fail
  }

  get(...values: SQLInputValue[]): SQLOutputValue[] | undefined {
    try {
      return this.#statement.get(...values) as unknown as SQLOutputValue[] | undefined
    } catch (error) {
      return this.#fail(error)
    }
  }

  all(...values: SQLInputValue[]): SQLOutputValue[][] {
    try {
      return this.#statement.all(...values) as unknown as SQLOutputValue[][]
    } catch (error) {
      return this.#fail(error)
    }
  }

  *iterate(...values: SQLInputValue[]): IterableIterator<SQLOutputValue[]> {
    try {
      yield* this.#statement.iterate(...values) as unknown as IterableIterator<SQLOutputValue[]>
    } catch (error) {
      this.#fail(error)
    }
  }

  run(...values: SQLInputValue[]): number {
    try {
      return Number(this.#statement.run(...values).changes)
    } catch (error) {
      return this.#fail(error)
    }
  }
}
