import { beside, call, calls as several, tagged } from '../call.mjs'

// The collator's host, and the machine that an image is made on.
export function calls(stack, { volume }) {
  const collator = tagged({ Stack: stack, Component: 'collator' })
  // Of Systems Manager's managed policy. The evaluator knows no documents of Amazon's own, whose ARN has no account.
  const managed = [
    call('ssm:UpdateInstanceInformation'),
    call('ssmmessages:OpenDataChannel'),
    call('ec2messages:GetMessages'),
  ]
  const foreign = [
    ...several('ssm', 'GetParameter GetParameters', 'ssm:parameter/database/password'),
    call('ssm:GetParameter', `ssm:parameter/t0rn-agent/${stack}/ami`),
    call('ssm:GetDocument', `ssm:document/${beside(stack)}-status`),
    call('ssm:GetDocument', 'ssm:document/another'),
  ]
  return {
    host: {
      must: [
        ...managed,
        call('ssm:GetDocument', `ssm:document/${stack}-collect-metrics`),
        ...several('ec2', 'AttachVolume DetachVolume', { 'ec2:instance/i-1': collator, [`ec2:volume/${volume}`]: {} }),
        call('cloudwatch:PutMetricData', '*', { 'cloudwatch:namespace': 'T0rnAgent' }),
      ],
      mustNot: [
        ...foreign,
        call('ec2:AttachVolume', { 'ec2:instance/i-1': collator, 'ec2:volume/vol-1': {} }),
        call('ec2:AttachVolume', { 'ec2:instance/i-1': {}, [`ec2:volume/${volume}`]: {} }),
        call('ec2:CreateSnapshot', { [`ec2:volume/${volume}`]: {}, 'ec2:snapshot/snap-1': {} }),
        call('cloudwatch:PutMetricData', '*', { 'cloudwatch:namespace': 'Other' }),
      ],
    },
    builder: { must: managed, mustNot: [...foreign, call('ssm:GetDocument', `ssm:document/${stack}-status`), call('ec2:DescribeInstances')] },
  }
}
