import { gate } from './gate.ts'

/** For `--import`: the whole of a program is behind the gate. */
await gate()
