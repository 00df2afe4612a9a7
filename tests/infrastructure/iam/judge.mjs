// Asks an evaluator of IAM policies about each call of the tables in calls/: what a role has to be allowed, and what it must not be.
//
// usage: node judge.mjs STACK PACKAGES PROVISION [RECORDED]
//   PACKAGES    directory with the node_modules that package.json names
//   PROVISION   a copy of provision/ in which Atmos planned the stack, the account's roles and the component fleet
//   RECORDED    actions that a workflow was seen to call, one a line, as "ROLE ACTION": each has to be in the role's table
import { readFileSync } from 'node:fs'
import * as policies from './policies.mjs'
import { tables } from './tables.mjs'

const [stack, packages, provision, recorded] = process.argv.slice(2)
const evaluate = policies.evaluator(packages)
const planned = (component) => policies.planned(provision, stack, component)

// What AWS gives with the managed policy AmazonSSMManagedInstanceCore.
const core = { name: 'AmazonSSMManagedInstanceCore', policy: JSON.parse(readFileSync(new URL('ssm-core.json', import.meta.url))) }
const delivery = planned('delivery')
const pipeline = planned('image-pipeline')
const collator = planned('t0rn-collator')
const operations = planned('operations')
const fleet = planned('fleet')
const roles = {
  ...policies.roles.delivery(delivery),
  ...policies.roles['image-pipeline'](pipeline),
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

let wrong = 0

// Why a call is not allowed; it is when it is for each of its resources.
async function refusals(role, { action, resources, context }) {
  if (action === 'sts:AssumeRoleWithWebIdentity') return trusted(role, context)
  const found = []
  for (const [resource, own] of resources) {
    const { resultType, overallResult, errors } = await evaluate(stack, role, roles[role], action, resource, { ...context, ...own })
    if (resultType === 'error') {
      console.log(`${role} ${action} ${resource}: no such call: ${errors.message}`)
      wrong += 1
    } else if (overallResult !== 'Allowed') found.push(`${resource}: ${overallResult}`)
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
