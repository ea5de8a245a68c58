import { statSync } from 'node:fs'
import type { Witness } from '../witness.ts'

export interface PlatformProperty {
  readonly name: string
  readonly value: string
}

/** REAPI's values for its standard properties OSFamily and ISA. */
const FAMILIES: Readonly<Record<string, string>> = { darwin: 'macos', win32: 'windows' }
const ISAS: Readonly<Record<string, string>> = { x64: 'x86-64', ia32: 'x86-32', arm64: 'arm-a64', arm: 'arm-a32' }

/** What of this machine is in every key: OS family, architecture, and on Linux the C library. */
export function platformProperties(witness?: Witness): readonly PlatformProperty[] {
  const properties = [
    { name: 'ISA', value: ISAS[process.arch] ?? process.arch },
    { name: 'OSFamily', value: FAMILIES[process.platform] ?? process.platform },
  ]
  const libc = libraryOfC(witness)
  return libc === undefined ? properties : [...properties, { name: 'libc', value: libc }]
}

/** glibc's program loader, where the ABI of each architecture fixes it. */
const GLIBC_LOADERS: Readonly<Record<string, string>> = {
  x64: '/lib64/ld-linux-x86-64.so.2',
  arm64: '/lib/ld-linux-aarch64.so.1',
  ia32: '/lib/ld-linux.so.2',
  arm: '/lib/ld-linux-armhf.so.3',
  ppc64: '/lib64/ld64.so.2',
  s390x: '/lib/ld64.so.1',
  riscv64: '/lib/ld-linux-riscv64-lp64d.so.1',
  loong64: '/lib64/ld-linux-loongarch-lp64d.so.1',
}

/**
 * The machine's, by the loader that is installed, and not that of the runtime which asks: a musl build of recue on a glibc
 * machine gets the same keys. Asking the runtime (`process.report`) takes milliseconds, too.
 */
function libraryOfC(witness: Witness | undefined): string | undefined {
  if (process.platform !== 'linux') return undefined
  const loader = GLIBC_LOADERS[process.arch]
  if (loader === undefined) return 'musl'
  const stats = statSync(loader, { throwIfNoEntry: false })
  witness?.saw(loader, stats, true)
  return stats === undefined ? 'musl' : 'glibc'
}
