import { fleetLeasesContract } from '../fleet-leases.contract.ts'
import { memoryFleetLeases } from './memory-fleet-leases.ts'

fleetLeasesContract(async () => {
  const leases = memoryFleetLeases()
  return { one: leases, other: leases, [Symbol.asyncDispose]: async () => undefined }
})
