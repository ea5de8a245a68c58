/** What a platform property of an action stands for. */
export type PropertyMeaning =
  | { readonly part: 'variable'; readonly name: string }
  | { readonly part: 'executable'; readonly name?: string }
  | { readonly part: 'platform'; readonly name: string }
  | { readonly part: 'output' | 'stdin' | 'definition' | 'property' }

/** By the names that keys are made with; others are the machine's and the user's own. */
export function meaningOf(name: string): PropertyMeaning {
  return { part: 'platform', name }
}
