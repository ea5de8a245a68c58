/** Where to listen: a TCP port, 0 for any that is free, or a Unix socket. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** As a client writes it: `http://127.0.0.1:8080`, `grpcs://[::1]:8980`, `unix:/run/recue.sock`. */
export function urlOf(address: ListenAddress, scheme: string): string {
  return address.kind === 'unix' ? `unix:${address.path}` : `${scheme}://${placeOf(address)}`
}

/** `127.0.0.1:8080`, or the path of a socket. */
export function placeOf(address: ListenAddress): string {
  if (address.kind === 'unix') return address.path
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}

/** Whether one listener can serve both: the same place, and not two ports that are yet to be chosen. */
export function isSameAddress(a: ListenAddress, b: ListenAddress): boolean {
  return placeOf(a) === placeOf(b) && (a === b || a.kind === 'unix' || a.port !== 0)
}
