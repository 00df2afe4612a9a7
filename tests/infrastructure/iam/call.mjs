// How a table writes a call: its action, the resources that AWS asks about with the tags that each of them has, and the request.
export const account = '123456789012'
export const region = 'eu-central-1'
// The bucket with a stack's state, as the state's mixin names it, and a stack of the same tenant and region beside it.
export const state = (stack) => stack.replace('-', '-terraform-state-')
export const beside = (stack) => (stack.endsWith('-prod') ? stack.replace(/prod$/, 'dev') : stack.replace(/[^-]*$/, 'prod'))

const global = ['iam']
const ownerless = ['image', 'snapshot']

// arn('ec2:subnet/subnet-1'); images and snapshots have no account in theirs, nor S3's names a region or an account.
export function arn(short) {
  if (short === '*' || short.startsWith('arn:')) return short
  const [service, ...rest] = short.split(':')
  const name = rest.join(':')
  if (service === 's3') return `arn:aws:s3:::${name}`
  const where = global.includes(service) ? '' : region
  const whose = service === 'ec2' && ownerless.includes(name.split('/')[0]) ? '' : account
  return `arn:aws:${service}:${where}:${whose}:${name}`
}

export const tagged = (tags) => Object.fromEntries(Object.entries(tags).map(([key, value]) => [`aws:ResourceTag/${key}`, value]))
export const tagging = (tags) => ({
  ...Object.fromEntries(Object.entries(tags).map(([key, value]) => [`aws:RequestTag/${key}`, value])),
  'aws:TagKeys': Object.keys(tags),
})

// call('ec2:CreateSubnet', { 'ec2:subnet/subnet-1': {}, 'ec2:vpc/vpc-1': own }, born)
export function call(action, resources = '*', context = {}) {
  const asked = typeof resources === 'string' ? { [resources]: {} } : resources
  return { action, context, resources: Object.entries(asked).map(([resource, own]) => [arn(resource), own]) }
}

// Several actions of one resource.
export const calls = (service, actions, resources, context) => actions.split(' ').map((action) => call(`${service}:${action}`, resources, context))
