import { testPublished } from '../fixtures/published-traces.ts'

const MIB = 2 ** 20
const SHORT = /^lirs\/(cpp|cs|gli|ps|multi1|backf)\./
/** Of the longer ones a few, for every policy; all of them are in test/e2e. */
const SOME: Readonly<Record<string, readonly number[]>> = {
  'libcachesim/cloudPhysicsIO.oracleGeneral.bin.gz': [256 * MIB, 768 * MIB],
  'libcachesim/cloudPhysicsIO.csv.gz': [128, 640 * MIB],
  'adaptsize/request.trace.gz': [4 * MIB],
}

testPublished((name, capacity) => SHORT.test(name) || SOME[name]?.includes(capacity) === true)
