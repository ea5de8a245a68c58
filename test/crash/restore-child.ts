import { readFileSync, writeSync } from 'node:fs'
import { openCheckout } from '../../src/action/outputs/restore.fixture.ts'
import { digestOf } from '../../src/digest/sha256.ts'
import { ActionResult } from '../../src/proto/build/bazel/remote/execution/v2/remote_execution.ts'

/** Restores the result in `<sandbox>/result` to `dist`; says when it starts, since the parent kills it soon after. */
const [sandbox] = process.argv.slice(2) as [string]
const checkout = await openCheckout({ sandbox })
const bytes = readFileSync(`${sandbox}/result`)
writeSync(1, 'go\n')
await checkout.restore(checkout.outputs('dist'), { result: ActionResult.decode(bytes), digest: digestOf(bytes) })
writeSync(1, 'done\n')
