// The calls that each role has to be allowed, and those that it must not be.
import * as apply from './calls/apply.mjs'
import * as images from './calls/images.mjs'
import * as instances from './calls/instances.mjs'
import * as operators from './calls/operators.mjs'
import * as plan from './calls/plan.mjs'
import * as trust from './calls/trust.mjs'

export { account, region } from './call.mjs'

// For a plan of `stack` with these settings: the volume of its identity, its VPC or '', and whether the role apply associates documents.
export function tables(stack, settings) {
  const result = {}
  for (const part of [plan, apply, images, instances, operators, trust]) {
    for (const [role, { must, mustNot }] of Object.entries(part.calls(stack, settings))) {
      result[role] ??= { must: [], mustNot: [] }
      result[role].must.push(...must)
      result[role].mustNot.push(...mustNot)
    }
  }
  return result
}
