// The policies of a plan, and an evaluator that is asked about them.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { account, region } from './call.mjs'

// planned(PROVISION, STACK, COMPONENT)(ADDRESS): the policy at this address in what Atmos planned last of the component.
export function planned(provision, stack, component) {
  const directory = resolve(provision, 'components/terraform', component)
  const file = join(directory, `${stack}-${component.replaceAll('/', '-')}.planfile`)
  if (!existsSync(file)) throw new Error(`${file} is missing: plan the stack and the account first`)
  const shown = JSON.parse(execFileSync('terraform', [`-chdir=${directory}`, 'show', '-json', file], { maxBuffer: 1 << 28 }))
  const found = {}
  for (const change of shown.resource_changes) {
    const after = change.change.after ?? {}
    const text = change.type === 'aws_iam_role' ? after.assume_role_policy : after.policy
    if (typeof text === 'string') found[change.address] = JSON.parse(text)
  }
  const policy = (address) => {
    if (!found[address]) throw new Error(`${component}: the plan does not know ${address}: write it without what is only known later`)
    return { name: address, policy: found[address] }
  }
  return Object.assign(policy, { variables: shown.variables })
}

// The roles of the workflows deploy and bake, by the component that makes them.
export const roles = {
  delivery: (planned) => ({
    plan: [planned('aws_iam_role_policy.plan')],
    apply: [planned('aws_iam_role_policy.apply'), planned('aws_iam_policy.apply["network"]'), planned('aws_iam_policy.apply["machines"]')],
  }),
  'image-pipeline': (planned) => ({ bake: [planned('aws_iam_role_policy.bake')], publish: [planned('aws_iam_role_policy.publish')] }),
}

// A key's own policy leaves it to the account's, as KMS makes keys.
const keyPolicy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' }] }

// evaluator(PACKAGES)(STACK, ROLE, POLICIES, ACTION, RESOURCE, CONTEXT): `overallResult` is 'Allowed' or how it is refused; `resultType` is
// 'error' where there is no such call.
export function evaluator(packages) {
  const { runSimulation } = createRequire(pathToFileURL(join(packages, 'index.js')))('@cloud-copilot/iam-simulate')
  return async (stack, role, policies, action, resource, context) => {
    const request = {
      action,
      principal: `arn:aws:sts::${account}:assumed-role/${stack}-${role}/test`,
      resource: { resource, accountId: account },
      contextVariables: { 'aws:RequestedRegion': region, 'ec2:Region': region, 'aws:userid': 'AROAEXAMPLE:test', 'aws:SecureTransport': 'true', ...context },
    }
    return runSimulation({
      request, identityPolicies: policies, serviceControlPolicies: [], resourceControlPolicies: [], ...(action.startsWith('kms:') ? { resourcePolicy: keyPolicy } : {}),
    }, {})
  }
}
