import { shownAddress } from './shown-address.ts'

/** An address ends where, after a comma, the next begins; others may have commas in them. */
const BETWEEN = /\s*,\s*(?=[a-z][a-z0-9+]*:\/\/|(?:(?:redis|valkey)\+)?unix:)/i
/** What is said of an address behind it. */
const SAID = /#((?:weight|name)=[^#]*)$/

/** The addresses of a text, as they stand there: `grpc://a:1#weight=2,grpc://b:1`. */
export function addressesIn(text: string): string[] {
  return text.split(BETWEEN)
}

/** An address by itself, and what is said of it. */
export function parted(address: string): { readonly address: string; readonly said: string | undefined } {
  const said = SAID.exec(address)
  return said === null ? { address, said: undefined } : { address: address.slice(0, said.index), said: said[1] }
}

/** All of them as they are said and written down, with no secret. */
export function shownAddresses(text: string): string {
  return addressesIn(text).map(shownAddress).join(', ')
}

/** What those of a text are called together. It is the same when one that is not the first comes or goes. */
export function placeOf(text: string): string {
  const [first = '', ...others] = addressesIn(text)
  const place = shownAddress(parted(first).address)
  return others.length === 0 ? place : `${place} and others`
}
