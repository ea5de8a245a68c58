import type { ChildEnvironment, OutputDeclaration } from '../key/keyed-action.ts'

/** What is known of a command that is to be run. */
export interface Prepared {
  readonly program: string
  readonly environment: ChildEnvironment
  readonly outputs: readonly OutputDeclaration[]
}
