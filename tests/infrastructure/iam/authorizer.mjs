// Says to an emulated AWS whether a role may do what it asks for, by the policies of a plan.
//
// usage: node authorizer.mjs STACK PACKAGES PROVISION COMPONENT SOCKET
//   PACKAGES, PROVISION   as in judge.mjs
//   COMPONENT             the one that makes the roles: delivery or image-pipeline
//   SOCKET                where it listens. A line is {"role", "action", "resources": [[ARN, {KEY: VALUE}]], "context": {KEY: VALUE}}; its
//                         answer is a line, which is empty where the call is allowed
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import * as policies from './policies.mjs'

const [stack, packages, provision, component, socket] = process.argv.slice(2)
const evaluate = policies.evaluator(packages)
const roles = policies.roles[component](policies.planned(provision, stack, component))

async function refusal({ role, action, resources, context }) {
  const ask = (resource, own) => evaluate(stack, role, roles[role], action, resource, { ...context, ...own })
  let known = false
  for (const [resource, own] of resources) {
    const { resultType, overallResult, errors } = await ask(resource, own)
    if (resultType !== 'error') {
      known = true
      if (overallResult !== 'Allowed') return `${resource} ${JSON.stringify(own)}: ${overallResult}`
      // A call names more than it is about.
    } else if (!['no.resource.types', 'must.use.wildcard'].includes(errors.message)) return errors.message
  }
  if (known) return ''
  const { resultType, overallResult, errors } = await ask('*', {})
  if (resultType === 'error') return errors.message
  if (resultType === 'wildcard') return `the emulation does not know what this call is about, of ${JSON.stringify(resources)}`
  return overallResult === 'Allowed' ? '' : `*: ${overallResult}`
}

createServer(async (connection) => {
  for await (const line of createInterface({ input: connection })) connection.write(`${await refusal(JSON.parse(line))}\n`)
}).listen(socket)
