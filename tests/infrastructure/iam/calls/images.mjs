import { beside, call, calls as several, tagged, tagging } from '../call.mjs'

// The roles bake and publish.
export function calls(stack) {
  const marked = tagged({ 't0rn-agent:name': stack })
  const marking = tagging({ 't0rn-agent:name': stack })
  const another = tagged({ 't0rn-agent:name': beside(stack) })
  const key = tagged({ 't0rn-agent:identity': `${stack}-identity` })
  const snapshotOfKeys = tagged({ 't0rn-agent:identity-snapshot': `${stack}-identity` })
  const session = (user) => ({ 'ssm:resourceTag/aws:ssmmessages:session-id': user })
  const reached = { 'ssm:resourceTag/t0rn-agent:name': stack }
  return {
    bake: {
      must: [
        ...several('ec2', 'DescribeImages DescribeInstances DescribeSubnets DescribeSecurityGroups DescribeInstanceTypes'),
        call('ec2:CreateSecurityGroup', { 'ec2:security-group/sg-1': {}, 'ec2:vpc/vpc-1': {} }, marking),
        call('ec2:AuthorizeSecurityGroupIngress', { 'ec2:security-group/sg-1': marked, 'ec2:security-group-rule/sgr-1': {} }),
        ...several('ec2', 'CreateKeyPair ImportKeyPair', 'ec2:key-pair/packer', marking),
        call('ec2:RunInstances', {
          'ec2:image/ami-debian': {}, 'ec2:instance/i-1': {}, 'ec2:key-pair/packer': marked, 'ec2:network-interface/eni-1': {},
          'ec2:security-group/sg-1': marked, 'ec2:subnet/subnet-1': {}, 'ec2:volume/vol-1': {},
        }, marking),
        call('ec2:CreateTags', 'ec2:instance/i-1', { ...marking, 'ec2:CreateAction': 'RunInstances' }),
        call('ec2:CreateTags', { 'ec2:instance/i-1': marked }, tagging({ 't0rn-agent:chain': 'rococo' })),
        ...several('ec2', 'StopInstances TerminateInstances ModifyInstanceAttribute', { 'ec2:instance/i-1': marked }),
        call('ec2:CreateImage', { 'ec2:instance/i-1': marked, 'ec2:image/ami-new': {}, 'ec2:snapshot/snap-1': {} }, marking),
        ...several('ec2', 'EnableImageDeprecation ModifyImageAttribute DeregisterImage', { 'ec2:image/ami-new': marked }),
        ...several('ec2', 'DeleteSecurityGroup', { 'ec2:security-group/sg-1': marked }),
        call('ec2:DeleteKeyPair', { 'ec2:key-pair/packer': marked }),
        call('ec2:DeleteVolume', { 'ec2:volume/vol-1': marked }),
        call('iam:PassRole', `iam:role/${stack}-image-builder`, { 'iam:PassedToService': 'ec2.amazonaws.com' }),
        call('iam:GetInstanceProfile', `iam:instance-profile/${stack}-image-builder`),
        call('ssm:StartSession', { 'ec2:instance/i-1': reached }),
        call('ssm:TerminateSession', { 'ssm:session/test-0123': session('AROAEXAMPLE:test') }),
        call('ssm:SendCommand', { 'ec2:instance/i-1': reached }),
        ...several('ssm', 'DescribeInstanceInformation GetCommandInvocation'),
        call('ssm:GetParameter', `ssm:parameter/t0rn-agent/${stack}/ami`),
        ...several('kms', 'Decrypt DescribeKey GenerateDataKeyWithoutPlaintext ReEncryptFrom', 'kms:key/1', { 'kms:ViaService': 'ec2.eu-central-1.amazonaws.com' }),
        call('kms:CreateGrant', 'kms:key/1', { 'kms:ViaService': 'ec2.eu-central-1.amazonaws.com', 'kms:GrantIsForAWSResource': 'true' }),
      ],
      mustNot: [
        call('ec2:RunInstances', { 'ec2:instance/i-1': {} }),
        ...several('ec2', 'StopInstances TerminateInstances ModifyInstanceAttribute', { 'ec2:instance/i-2': {} }),
        call('ec2:TerminateInstances', { 'ec2:instance/i-2': another }),
        call('ec2:AuthorizeSecurityGroupIngress', { 'ec2:security-group/sg-2': {}, 'ec2:security-group-rule/sgr-1': {} }),
        call('ec2:CreateTags', { 'ec2:instance/i-2': {} }, marking),
        call('ec2:CreateTags', { 'ec2:image/ami-2': another }, marking),
        call('ec2:CreateImage', { 'ec2:instance/i-2': {}, 'ec2:image/ami-new': {} }, marking),
        call('ec2:CreateVolume', { 'ec2:snapshot/snap-keys': snapshotOfKeys, 'ec2:volume/vol-1': {} }, marking),
        call('ec2:CreateSnapshot', { 'ec2:volume/vol-keys': key, 'ec2:snapshot/snap-1': {} }, marking),
        call('ec2:ModifySnapshotAttribute', { 'ec2:snapshot/snap-keys': { ...snapshotOfKeys, ...marked } }),
        call('iam:PassRole', `iam:role/${stack}-image-builder`, { 'iam:PassedToService': 'lambda.amazonaws.com' }),
        call('iam:PassRole', 'iam:role/admin', { 'iam:PassedToService': 'ec2.amazonaws.com' }),
        call('ssm:StartSession', 'ec2:instance/i-2'),
        call('ssm:SendCommand', 'ec2:instance/i-2'),
        call('ssm:TerminateSession', { 'ssm:session/other-0123': session('AROAOTHER:someone') }),
        call('ssm:PutParameter', `ssm:parameter/t0rn-agent/${stack}/ami`),
        call('kms:Decrypt', 'kms:key/1'),
        call('kms:CreateGrant', 'kms:key/1', { 'kms:ViaService': 'ec2.eu-central-1.amazonaws.com', 'kms:GrantIsForAWSResource': 'false' }),
        call('kms:Decrypt', 'kms:key/2', { 'kms:ViaService': 'ec2.eu-central-1.amazonaws.com' }),
      ],
    },
    publish: {
      must: [
        ...several('ec2', 'DescribeImages DescribeImageAttribute DescribeInstances DescribeLaunchTemplates DescribeLaunchTemplateVersions DescribeSnapshots DescribeSnapshotAttribute'),
        ...several('autoscaling', 'DescribeAutoScalingGroups DescribeLaunchConfigurations'),
        call('ec2:CopyImage', { 'arn:aws:ec2:eu-west-1::image/ami-copy': {}, 'arn:aws:ec2:eu-west-1::snapshot/snap-copy': {} }, marking),
        call('ec2:CreateTags', { 'arn:aws:ec2:eu-west-1::image/ami-copy': {} }, { ...marking, 'ec2:CreateAction': 'CopyImage' }),
        ...several('ec2', 'ModifyImageAttribute DeregisterImage', { 'ec2:image/ami-1': marked }),
        ...several('ec2', 'ModifySnapshotAttribute DeleteSnapshot', { 'ec2:snapshot/snap-1': marked }),
        ...several('ssm', 'GetParameter GetParameters PutParameter', `ssm:parameter/t0rn-agent/${stack}/ami`),
        call('kms:CreateGrant', 'kms:key/1', { 'kms:ViaService': 'ec2.eu-west-1.amazonaws.com', 'kms:GrantIsForAWSResource': 'true' }),
      ],
      mustNot: [
        call('ec2:CopyImage', { 'arn:aws:ec2:eu-west-1::image/ami-copy': {} }),
        call('ec2:CreateTags', { 'ec2:image/ami-2': {} }, marking),
        call('ec2:CreateTags', { 'ec2:snapshot/snap-2': {} }, marking),
        ...several('ec2', 'ModifyImageAttribute DeregisterImage', { 'ec2:image/ami-2': {} }),
        ...several('ec2', 'ModifySnapshotAttribute DeleteSnapshot', { 'ec2:snapshot/snap-2': {} }),
        call('ec2:DeregisterImage', { 'ec2:image/ami-3': another }),
        call('ec2:ModifySnapshotAttribute', { 'ec2:snapshot/snap-keys': { ...snapshotOfKeys, ...marked } }),
        call('ec2:RunInstances', { 'ec2:instance/i-1': {} }, marking),
        call('ssm:PutParameter', `ssm:parameter/t0rn-agent/${beside(stack)}/ami`),
        ...several('ssm', 'GetParameter GetParameters', 'ssm:parameter/database/password'),
      ],
    },
  }
}
