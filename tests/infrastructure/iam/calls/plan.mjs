import { beside, call, calls as several, state } from '../call.mjs'

// What Terraform looks at, in every plan, apply and destroy.
export const looks = (stack) => [
  ...several('ec2', 'DescribeAddresses DescribeAddressesAttribute DescribeFlowLogs DescribeImages DescribeInstanceTypes DescribeInternetGateways DescribeLaunchTemplateVersions DescribeLaunchTemplates DescribeNatGateways DescribeNetworkAcls DescribePrefixLists DescribeRouteTables DescribeSecurityGroupRules DescribeSecurityGroups DescribeSubnets DescribeVolumes DescribeVpcAttribute DescribeVpcEndpoints DescribeVpcs DescribeNetworkInterfaces DescribeSnapshots GetEbsEncryptionByDefault'),
  ...several('autoscaling', 'DescribeAutoScalingGroups DescribeScalingActivities DescribeInstanceRefreshes'),
  ...several('cloudwatch', 'DescribeAlarms ListTagsForResource', `cloudwatch:alarm:${stack}-cpu`),
  call('cloudwatch:GetDashboard', `arn:aws:cloudwatch::123456789012:dashboard/${stack}`),
  ...several('dlm', 'GetLifecyclePolicy ListTagsForResource', 'dlm:policy/policy-1'),
  ...several('iam', 'GetRole GetRolePolicy ListAttachedRolePolicies ListRolePolicies ListInstanceProfilesForRole', `iam:role/${stack}-collator`),
  ...several('iam', 'GetPolicy GetPolicyVersion ListPolicyVersions', `iam:policy/${stack}-operator`),
  call('iam:GetInstanceProfile', `iam:instance-profile/${stack}-collator`),
  call('logs:DescribeLogGroups'),
  ...several('logs', 'ListTagsForResource', `logs:log-group:/t0rn-agent/${stack}/metrics`),
  ...several('s3', 'ListBucket GetBucketAcl GetBucketCORS GetBucketLogging GetBucketPolicy GetBucketTagging GetBucketVersioning GetBucketWebsite GetBucketOwnershipControls GetBucketPublicAccessBlock GetEncryptionConfiguration GetLifecycleConfiguration GetAccelerateConfiguration GetBucketRequestPayment GetReplicationConfiguration GetBucketObjectLockConfiguration', `s3:${stack}-flow-logs-123456789012`),
  ...several('sns', 'GetTopicAttributes ListTagsForResource', `sns:${stack}-alarms`),
  ...several('ssm', 'DescribeDocument DescribeDocumentPermission GetDocument ListTagsForResource', `ssm:document/${stack}-status`),
  call('ssm:DescribeAssociation', 'ssm:association/1'),
  ...several('ssm', 'GetParameter GetParameters', `ssm:parameter/t0rn-agent/${stack}/ami`),
  call('sts:GetCallerIdentity'),
  call('s3:ListBucket', `s3:${state(stack)}`),
  call('s3:GetObject', `s3:${state(stack)}/terraform.tfstate`),
  ...['infra-vpc', 't0rn-identity', 't0rn-collator', 'operations', 'observability'].flatMap((component) => [
    call('s3:GetObject', `s3:${state(stack)}/${component}/${stack}/terraform.tfstate`),
    ...several('s3', 'GetObject PutObject DeleteObject', `s3:${state(stack)}/${component}/${stack}/terraform.tfstate.tflock`),
  ]),
]

// What neither plan nor apply reads.
export const secrets = (stack) => [
  call('s3:GetObject', `s3:${state(stack)}/delivery/${stack}/terraform.tfstate`),
  call('s3:GetObject', `s3:${state(stack)}/infra-vpc/${beside(stack)}/terraform.tfstate`),
  call('s3:GetObject', `s3:${state(beside(stack))}/infra-vpc/${beside(stack)}/terraform.tfstate`),
  call('s3:GetObject', 's3:another-bucket/object'),
  call('secretsmanager:GetSecretValue', 'secretsmanager:secret:database-abcdef'),
  ...several('ssm', 'GetParameter GetParameters', 'ssm:parameter/database/password'),
  call('kms:Decrypt', 'kms:key/00000000-0000-0000-0000-000000000000'),
  call('logs:GetLogEvents', 'logs:log-group:/t0rn-agent/x:log-stream:y'),
]

export function calls(stack) {
  return {
    plan: {
      must: looks(stack),
      mustNot: [
        ...secrets(stack),
        call('s3:PutObject', `s3:${state(stack)}/infra-vpc/${stack}/terraform.tfstate`),
        call('s3:DeleteObject', `s3:${state(stack)}/infra-vpc/${stack}/terraform.tfstate`),
        call('ec2:CreateTags', 'ec2:vpc/vpc-1'),
        call('iam:PassRole', `iam:role/${stack}-collator`),
      ],
    },
  }
}
