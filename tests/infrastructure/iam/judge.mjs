// Asks an evaluator of IAM policies about each call of the tables in calls/: what a role has to be allowed, and what it must not be.
//
// usage: node judge.mjs STACK PACKAGES PROVISION [RECORDED]
//   PACKAGES    directory with the node_modules that package.json names
//   PROVISION   a copy of provision/ in which Atmos planned the stack, the account's roles and the component fleet
//   RECORDED    actions that a workflow was seen to call, one a line, as "ROLE ACTION": each has to be in the role's table
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { account, region, tables } from './tables.mjs'

const [stack, packages, provision, recorded] = process.argv.slice(2)
const require = createRequire(pathToFileURL(join(packages, 'index.js')))
const { runSimulation } = require('@cloud-copilot/iam-simulate')

function planned(component) {
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

// What AWS gives with the managed policy AmazonSSMManagedInstanceCore.
const core = { name: 'AmazonSSMManagedInstanceCore', policy: JSON.parse(readFileSync(new URL('ssm-core.json', import.meta.url))) }
const delivery = planned('delivery')
const pipeline = planned('image-pipeline')
const collator = planned('t0rn-collator')
const operations = planned('operations')
const fleet = planned('fleet')
const roles = {
  plan: [delivery('aws_iam_role_policy.plan')],
  apply: [delivery('aws_iam_role_policy.apply'), delivery('aws_iam_policy.apply["network"]'), delivery('aws_iam_policy.apply["machines"]')],
  bake: [pipeline('aws_iam_role_policy.bake')],
  publish: [pipeline('aws_iam_role_policy.publish')],
  builder: [pipeline('aws_iam_role_policy.builder'), core],
  operator: [operations('aws_iam_policy.operator')],
  fleet: [fleet('aws_iam_policy.operator')],
  rolling: [fleet('aws_iam_role_policy.rolling_update')],
  host: [collator('aws_iam_role_policy.this'), collator('aws_iam_role_policy.foreign'), core],
}
// What this plan says of the identity volume, the network and the associations.
const settings = {
  volume: collator.variables.identity_volume_id.value,
  vpc: delivery.variables.vpc_id.value,
  // A text, where it is one of the command line's.
  associations: String(delivery.variables.associations.value) === 'true',
}
const asked = tables(stack, settings)
const trusts = {
  plan: delivery('module.plan.aws_iam_role.this'),
  apply: delivery('module.apply.aws_iam_role.this'),
  bake: pipeline('module.bake.aws_iam_role.this'),
  publish: pipeline('module.publish.aws_iam_role.this'),
}

// The evaluator does not know the claims aud and sub. A role's trust consists of equalities, which are compared here.
function trusted(role, context) {
  const [statement, ...more] = trusts[role].policy.Statement
  const [[operator, claims], ...others] = Object.entries(statement.Condition)
  if (more.length || others.length || operator !== 'StringEquals' || statement.Effect !== 'Allow') throw new Error(`${role}: a trust of another form`)
  const refused = Object.entries(claims).filter(([claim, values]) => ![values].flat().includes(context[claim]))
  return refused.map(([claim]) => `${claim} is ${context[claim]}`)
}

// A key's own policy leaves it to the account's, as KMS makes keys.
const keyPolicy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' }] }
let wrong = 0

// Why a call is not allowed; it is when it is for each of its resources.
async function refusals(role, { action, resources, context }) {
  if (action === 'sts:AssumeRoleWithWebIdentity') return trusted(role, context)
  const found = []
  for (const [resource, own] of resources) {
    const request = {
      action,
      principal: `arn:aws:sts::${account}:assumed-role/${stack}-${role}/test`,
      resource: { resource, accountId: account },
      contextVariables: { 'aws:RequestedRegion': region, 'ec2:Region': region, 'aws:userid': 'AROAEXAMPLE:test', 'aws:SecureTransport': 'true', ...context, ...own },
    }
    const response = await runSimulation({
      request, identityPolicies: roles[role], serviceControlPolicies: [], resourceControlPolicies: [], ...(action.startsWith('kms:') ? { resourcePolicy: keyPolicy } : {}),
    }, {})
    if (response.resultType === 'error') {
      console.log(`${role} ${action} ${resource}: no such call: ${response.errors.message}`)
      wrong += 1
    } else if (response.overallResult !== 'Allowed') found.push(`${resource}: ${response.overallResult}`)
  }
  return found
}

const counts = { allowed: 0, refused: 0 }
for (const [role, { must, mustNot }] of Object.entries(asked)) {
  for (const call of must) {
    counts.allowed += 1
    const reasons = await refusals(role, call)
    if (reasons.length) {
      console.log(`${role} has to be allowed ${call.action}: ${reasons.join(', ')}`)
      wrong += 1
    }
  }
  for (const call of mustNot) {
    counts.refused += 1
    if (!(await refusals(role, call)).length) {
      console.log(`${role} must not be allowed ${call.action} of ${call.resources.map(([resource]) => resource)} with ${JSON.stringify(call.context)}`)
      wrong += 1
    }
  }
}
if (recorded) {
  // Terraform does without what these say: the provider asks Security Token Service next for the account.
  const spared = ['ec2:getinstanceuefidata', 'iam:getuser']
  const known = Object.entries(asked).flatMap(([role, { must }]) => must.map((call) => `${role} ${call.action}`.toLowerCase()))
  for (const line of new Set(readFileSync(recorded, 'utf8').trim().split('\n'))) {
    if (!known.includes(line.toLowerCase()) && !spared.includes(line.toLowerCase().split(' ')[1])) {
      console.log(`${line}: the workflow calls it, and no table asks for it`)
      wrong += 1
    }
  }
}
console.log(`${counts.allowed} calls allowed, ${counts.refused} refused, ${wrong} wrong`)
process.exit(wrong ? 1 : 0)
