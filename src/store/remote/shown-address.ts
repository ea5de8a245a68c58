/**
 * An address of any kind as it is said and written down: without what stands before the host, where a token may be. Of what is no
 * address nobody knows where its host begins, so all up to the last `@` goes.
 */
export function shownAddress(address: string): string {
  const credentials = URL.canParse(address) ? /^([a-z0-9+]+:\/\/)[^/?#]*@/i : /^([^/]*\/\/).*@/s
  return address.replace(credentials, '$1')
}
