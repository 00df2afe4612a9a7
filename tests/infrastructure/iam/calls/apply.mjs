import { arn, beside, call, calls as several, state, tagged, tagging } from '../call.mjs'
import { looks, secrets } from './plan.mjs'

export function calls(stack, { vpc, associations }) {
  const own = tagged({ Stack: stack })
  const another = tagged({ Stack: beside(stack) })
  const born = tagging({ Stack: stack, CostCenter: 'collators' })
  const at = (action) => ({ ...born, 'ec2:CreateAction': action })
  const closed = tagged({ Stack: stack, Name: `${stack}-vpc-default-closed` })
  const closing = tagging({ Stack: stack, Name: `${stack}-vpc-default-closed` })
  const inVpc = (id) => ({ 'ec2:Vpc': arn(`ec2:vpc/${id}`) })
  const here = inVpc(vpc || 'vpc-1')
  const keys = tagged({ Stack: stack, 't0rn-agent:identity': `${stack}-identity` })
  const snapshotOfKeys = tagged({ Stack: stack, 't0rn-agent:identity-snapshot': `${stack}-identity` })
  const through = { 'kms:ViaService': 'ec2.eu-central-1.amazonaws.com' }
  const group = `autoscaling:autoScalingGroup:0a1b2c3d-0000-0000-0000-000000000000:autoScalingGroupName/${stack}-collator`
  const foreignGroup = 'autoscaling:autoScalingGroup:0a1b2c3d-0000-0000-0000-000000000000:autoScalingGroupName/web'
  const collector = `ssm:document/${stack}-collect-metrics`
  const role = `iam:role/${stack}-collator`
  const core = { 'iam:PolicyARN': 'arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore' }
  const passed = (service) => ({ 'iam:PassedToService': `${service}.amazonaws.com` })
  const launch = {
    'ec2:image/ami-1': {}, 'ec2:instance/i-1': {}, 'ec2:launch-template/lt-1': own, 'ec2:network-interface/eni-1': {},
    'ec2:security-group/sg-1': own, 'ec2:subnet/subnet-1': own, 'ec2:volume/vol-1': {},
  }

  const network = [
    call('ec2:CreateVpc', 'ec2:vpc/vpc-1', born),
    call('ec2:CreateTags', 'ec2:vpc/vpc-1', at('CreateVpc')),
    ...several('ec2', 'ModifyVpcAttribute DeleteVpc', { 'ec2:vpc/vpc-1': own }),
    call('ec2:AssociateVpcCidrBlock', { 'ec2:vpc/vpc-1': own }),
    call('ec2:CreateSubnet', { 'ec2:subnet/subnet-1': {}, 'ec2:vpc/vpc-1': own }, born),
    ...several('ec2', 'ModifySubnetAttribute DeleteSubnet', { 'ec2:subnet/subnet-1': own }),
    call('ec2:CreateRouteTable', { 'ec2:route-table/rtb-1': {}, 'ec2:vpc/vpc-1': own }, born),
    ...several('ec2', 'CreateRoute DeleteRoute ReplaceRoute DeleteRouteTable', { 'ec2:route-table/rtb-1': own }),
    ...several('ec2', 'AssociateRouteTable DisassociateRouteTable', { 'ec2:route-table/rtb-1': own, 'ec2:subnet/subnet-1': own }),
    call('ec2:CreateInternetGateway', 'ec2:internet-gateway/igw-1', born),
    ...several('ec2', 'AttachInternetGateway DetachInternetGateway', { 'ec2:internet-gateway/igw-1': own, 'ec2:vpc/vpc-1': own }),
    call('ec2:DeleteInternetGateway', { 'ec2:internet-gateway/igw-1': own }),
    call('ec2:CreateEgressOnlyInternetGateway', { 'ec2:egress-only-internet-gateway/eigw-1': {}, 'ec2:vpc/vpc-1': own }, born),
    call('ec2:DeleteEgressOnlyInternetGateway', { 'ec2:egress-only-internet-gateway/eigw-1': own }),
    call('ec2:AllocateAddress', 'ec2:elastic-ip/eipalloc-1', born),
    ...several('ec2', 'DisassociateAddress ReleaseAddress', { 'ec2:elastic-ip/eipalloc-1': own }),
    call('ec2:CreateNatGateway', { 'ec2:natgateway/nat-1': {}, 'ec2:elastic-ip/eipalloc-1': own, 'ec2:subnet/subnet-1': own }, born),
    call('ec2:DeleteNatGateway', { 'ec2:natgateway/nat-1': own }),
    call('ec2:CreateVpcEndpoint', {
      'ec2:vpc-endpoint/vpce-1': {}, 'ec2:vpc/vpc-1': own, 'ec2:route-table/rtb-1': own, 'ec2:subnet/subnet-1': own, 'ec2:security-group/sg-1': own,
    }, born),
    ...several('ec2', 'ModifyVpcEndpoint DeleteVpcEndpoints', { 'ec2:vpc-endpoint/vpce-1': own }),
    call('ec2:CreateFlowLogs', { 'ec2:vpc-flow-log/fl-1': {}, 'ec2:vpc/vpc-1': own }, born),
    call('ec2:DeleteFlowLogs', { 'ec2:vpc-flow-log/fl-1': own }),
    call('ec2:CreateNetworkAcl', { 'ec2:network-acl/acl-1': {}, 'ec2:vpc/vpc-1': own }, born),
    ...several('ec2', 'CreateNetworkAclEntry DeleteNetworkAclEntry DeleteNetworkAcl', { 'ec2:network-acl/acl-1': own }),
    call('ec2:ReplaceNetworkAclAssociation', { 'ec2:network-acl/acl-1': own, 'ec2:subnet/subnet-1': own }),
    call('ec2:CreateSecurityGroup', { 'ec2:security-group/sg-1': {}, 'ec2:vpc/vpc-1': own }, born),
    ...several('ec2', 'AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress', { 'ec2:security-group/sg-1': own, 'ec2:security-group-rule/sgr-1': {} }, born),
    call('ec2:CreateTags', 'ec2:security-group-rule/sgr-1', born),
    ...several('ec2', 'RevokeSecurityGroupEgress RevokeSecurityGroupIngress DeleteSecurityGroup', { 'ec2:security-group/sg-1': own }),
    call('ec2:CreateTags', { 'ec2:subnet/subnet-1': own }, tagging({ CostCenter: 'another' })),
    call('ec2:DeleteTags', { 'ec2:subnet/subnet-1': own }, { 'aws:TagKeys': ['CostCenter'] }),
    // The VPC's defaults are tagged, and then closed.
    call('ec2:CreateTags', { 'ec2:security-group/sg-default': here }, closing),
    call('ec2:CreateTags', { 'ec2:network-acl/acl-default': here }, closing),
    call('ec2:CreateTags', { 'ec2:route-table/rtb-default': here }, tagging({ Stack: stack, Name: `${stack}-vpc-default-empty` })),
    ...several('ec2', 'DeleteNetworkAclEntry ReplaceNetworkAclAssociation', { 'ec2:network-acl/acl-default': here }),
    ...several('ec2', 'RevokeSecurityGroupEgress RevokeSecurityGroupIngress', { 'ec2:security-group/sg-default': closed }),
    call('ec2:DeleteNetworkAclEntry', { 'ec2:network-acl/acl-default': closed }),
    call('ec2:ReplaceNetworkAclAssociation', { 'ec2:network-acl/acl-default': closed, 'ec2:subnet/subnet-1': own }),
    call('ec2:CreateTags', { 'ec2:security-group/sg-default': closed }, tagging({ CostCenter: 'another' })),
  ]

  const machines = [
    call('ec2:CreateVolume', 'ec2:volume/vol-keys', tagging({ Stack: stack, 't0rn-agent:identity': `${stack}-identity` })),
    call('ec2:CreateTags', 'ec2:volume/vol-keys', { ...tagging({ Stack: stack, 't0rn-agent:identity': `${stack}-identity` }), 'ec2:CreateAction': 'CreateVolume' }),
    call('ec2:CreateTags', { 'ec2:volume/vol-keys': keys }, tagging({ CostCenter: 'another' })),
    call('ec2:ModifyVolume', { 'ec2:volume/vol-keys': keys }),
    call('ec2:CreateLaunchTemplate', 'ec2:launch-template/lt-1', born),
    ...several('ec2', 'CreateLaunchTemplateVersion ModifyLaunchTemplate DeleteLaunchTemplate', { 'ec2:launch-template/lt-1': own }),
    call('ec2:RunInstances', launch, born),
    ...several('autoscaling', 'CreateAutoScalingGroup UpdateAutoScalingGroup DeleteAutoScalingGroup StartInstanceRefresh CancelInstanceRefresh PutLifecycleHook DeleteLifecycleHook SuspendProcesses EnableMetricsCollection CreateOrUpdateTags SetInstanceProtection', group),
    call('dlm:CreateLifecyclePolicy', '*', born),
    call('dlm:TagResource', 'dlm:policy/policy-1', born),
    call('iam:CreateServiceLinkedRole', 'iam:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling', { 'iam:AWSServiceName': 'autoscaling.amazonaws.com' }),
    call('iam:CreateServiceLinkedRole', 'iam:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot', { 'iam:AWSServiceName': 'spot.amazonaws.com' }),
    ...several('kms', 'Decrypt GenerateDataKeyWithoutPlaintext ReEncryptTo DescribeKey', 'kms:key/1', through),
    call('kms:CreateGrant', 'kms:key/1', { ...through, 'kms:GrantIsForAWSResource': 'true' }),
  ]

  // AWS does not check which instances an association names by tags: without these, the document runs where an administrator says.
  const associating = [
    call('ssm:CreateAssociation', { [collector]: {}, 'ssm:association/1': {} }, born),
    call('ssm:AddTagsToResource', 'ssm:association/1', born),
    call('ssm:UpdateAssociation', { 'ssm:association/1': own }),
    call('ssm:UpdateAssociation', { 'ssm:association/1': own, [collector]: own }),
  ]

  const rest = [
    ...several('iam', 'CreateRole DeleteRole PutRolePolicy DeleteRolePolicy TagRole UpdateRole', role),
    ...several('iam', 'AttachRolePolicy DetachRolePolicy', role, core),
    ...several('iam', 'CreateInstanceProfile DeleteInstanceProfile AddRoleToInstanceProfile RemoveRoleFromInstanceProfile TagInstanceProfile', `iam:instance-profile/${stack}-collator`),
    ...several('iam', 'CreatePolicy DeletePolicy TagPolicy', `iam:policy/${stack}-operator`),
    call('iam:PassRole', role, passed('ec2')),
    call('iam:PassRole', `iam:role/${stack}-identity-snapshots`, passed('dlm')),
    call('iam:PassRole', `iam:role/${stack}-vpc-flow-logs`, passed('vpc-flow-logs')),
    ...several('ssm', 'CreateDocument UpdateDocument UpdateDocumentDefaultVersion DeleteDocument AddTagsToResource', `ssm:document/${stack}-status`),
    ...(associations ? associating : []),
    ...several('ssm', 'AddTagsToResource RemoveTagsFromResource DeleteAssociation', { 'ssm:association/1': own }),
    ...several('cloudwatch', 'PutMetricAlarm DeleteAlarms TagResource', `cloudwatch:alarm:${stack}-cpu`),
    ...several('cloudwatch', 'PutDashboard DeleteDashboards', `arn:aws:cloudwatch::123456789012:dashboard/${stack}`),
    ...several('logs', 'CreateLogGroup DeleteLogGroup PutRetentionPolicy AssociateKmsKey TagResource', `logs:log-group:/${stack}/flow-logs`),
    ...several('logs', 'CreateLogGroup DeleteLogGroup PutRetentionPolicy', `logs:log-group:/t0rn-agent/${stack}/metrics`),
    ...several('logs', 'CreateLogDelivery DeleteLogDelivery'),
    ...several('sns', 'CreateTopic DeleteTopic SetTopicAttributes Subscribe', `sns:${stack}-alarms`),
    ...several('s3', 'CreateBucket DeleteBucket DeleteBucketPolicy PutBucketPolicy PutBucketTagging PutBucketPublicAccessBlock PutBucketOwnershipControls PutEncryptionConfiguration PutLifecycleConfiguration', `s3:${stack}-flow-logs-123456789012`),
    call('s3:DeleteObject', `s3:${stack}-flow-logs-123456789012/AWSLogs/1`),
    call('s3:PutObject', `s3:${state(stack)}/t0rn-collator/${stack}/terraform.tfstate`),
  ]

  // What has no tag, or another stack's.
  const foreign = [{}, another].flatMap((whose) => [
    call('ec2:CreateTags', { 'ec2:instance/i-2': whose }, born),
    call('ec2:CreateTags', { 'ec2:security-group/sg-2': whose }, born),
    call('ec2:CreateTags', { 'ec2:snapshot/snap-2': whose }, born),
    call('ec2:DeleteTags', { 'ec2:vpc/vpc-2': whose }, born),
    ...several('ec2', 'AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress RevokeSecurityGroupIngress DeleteSecurityGroup', { 'ec2:security-group/sg-2': whose }, born),
    ...several('ec2', 'CreateRoute ReplaceRoute DeleteRoute', { 'ec2:route-table/rtb-2': whose }),
    call('ec2:AssociateRouteTable', { 'ec2:route-table/rtb-1': own, 'ec2:subnet/subnet-2': whose }),
    call('ec2:CreateSubnet', { 'ec2:subnet/subnet-1': {}, 'ec2:vpc/vpc-2': whose }, born),
    call('ec2:CreateSecurityGroup', { 'ec2:security-group/sg-1': {}, 'ec2:vpc/vpc-2': whose }, born),
    call('ec2:CreateNatGateway', { 'ec2:natgateway/nat-1': {}, 'ec2:elastic-ip/eipalloc-1': own, 'ec2:subnet/subnet-2': whose }, born),
    call('ec2:CreateNetworkAclEntry', { 'ec2:network-acl/acl-2': whose }),
    call('ec2:ReplaceNetworkAclAssociation', { 'ec2:network-acl/acl-1': own, 'ec2:subnet/subnet-2': whose }),
    call('ec2:AttachInternetGateway', { 'ec2:internet-gateway/igw-1': own, 'ec2:vpc/vpc-2': whose }),
    call('ec2:CreateFlowLogs', { 'ec2:vpc-flow-log/fl-1': {}, 'ec2:vpc/vpc-2': whose }, born),
    call('ec2:CreateVpcEndpoint', { 'ec2:vpc-endpoint/vpce-1': {}, 'ec2:vpc/vpc-2': whose }, born),
    call('ec2:CreateLaunchTemplateVersion', { 'ec2:launch-template/lt-2': whose }),
    call('ec2:RunInstances', { ...launch, 'ec2:subnet/subnet-1': whose }, born),
    ...several('ec2', 'ModifyInstanceAttribute TerminateInstances StopInstances', { 'ec2:instance/i-2': whose }),
    ...several('ec2', 'AttachVolume DetachVolume DeleteVolume', { 'ec2:volume/vol-2': whose }),
    ...several('ec2', 'ModifySnapshotAttribute DeleteSnapshot', { 'ec2:snapshot/snap-2': whose }),
    call('ec2:CreateSnapshot', { 'ec2:volume/vol-2': whose, 'ec2:snapshot/snap-1': {} }, born),
    call('ec2:ModifyImageAttribute', { 'ec2:image/ami-2': whose }),
    call('ec2:ReleaseAddress', { 'ec2:elastic-ip/eipalloc-2': whose }),
    call('ec2:DeleteVpc', { 'ec2:vpc/vpc-2': whose }),
    ...several('ssm', 'UpdateAssociation DeleteAssociation', { 'ssm:association/2': whose }),
    call('ec2:CreateTags', { 'ec2:vpc/vpc-2': whose }, born),
    call('ec2:CreateTags', { 'ec2:volume/vol-2': whose }, born),
    call('ec2:CreateTags', { 'ec2:network-interface/eni-2': whose }, closing),
    call('ec2:CreateTags', { 'ec2:security-group/sg-2': { ...whose, ...here } }, tagging({ Stack: stack, Name: 'web' })),
  ])

  // What bears another's tag keeps it, also where the service does not say whether a tag is set at birth.
  const kept = [
    call('ec2:CreateTags', { 'ec2:security-group-rule/sgr-2': another }, born),
    call('ec2:CreateTags', { 'ec2:security-group/sg-2': { ...another, ...here } }, closing),
    call('ec2:ReplaceNetworkAclAssociation', { 'ec2:network-acl/acl-2': { ...another, ...here }, 'ec2:subnet/subnet-1': own }),
    call('dlm:TagResource', { 'dlm:policy/policy-2': another }, born),
    ...several('ssm', 'AddTagsToResource RemoveTagsFromResource', { 'ssm:association/2': another }, born),
    call('iam:TagRole', `iam:role/${beside(stack)}-collator`, born),
    call('sns:TagResource', `sns:${beside(stack)}-alarms`, born),
    call('cloudwatch:TagResource', `cloudwatch:alarm:${beside(stack)}-cpu`, born),
    call('logs:TagResource', `logs:log-group:/${beside(stack)}/flow-logs`, born),
    call('autoscaling:CreateOrUpdateTags', foreignGroup, born),
  ]

  // Once the VPC is known, what has no tag in others is neither closed nor tagged.
  const elsewhereInTheRegion = ['vpc-2', 'vpc-default'].flatMap((id) => [
    call('ec2:CreateTags', { 'ec2:security-group/sg-2': inVpc(id) }, closing),
    call('ec2:CreateTags', { 'ec2:network-acl/acl-2': inVpc(id) }, closing),
    call('ec2:CreateTags', { 'ec2:route-table/rtb-2': inVpc(id) }, tagging({ Stack: stack, Name: `${stack}-vpc-default-empty` })),
    call('ec2:DeleteNetworkAclEntry', { 'ec2:network-acl/acl-2': inVpc(id) }),
  ])

  const identity = [
    ...several('ec2', 'DetachVolume DeleteVolume', { 'ec2:volume/vol-keys': keys }),
    call('ec2:AttachVolume', { 'ec2:volume/vol-keys': keys, 'ec2:instance/i-1': own }),
    ...several('ec2', 'CreateSnapshot CreateSnapshots', { 'ec2:volume/vol-keys': keys, 'ec2:snapshot/snap-1': {} }, born),
    ...several('ec2', 'ModifySnapshotAttribute DeleteSnapshot CopySnapshot', { 'ec2:snapshot/snap-keys': snapshotOfKeys }, born),
    call('ec2:CreateVolume', { 'ec2:snapshot/snap-keys': snapshotOfKeys, 'ec2:volume/vol-1': {} }, born),
    call('ec2:RunInstances', { ...launch, 'ec2:snapshot/snap-keys': snapshotOfKeys }, born),
    call('ec2:DeleteTags', { 'ec2:volume/vol-keys': keys }, { 'aws:TagKeys': ['t0rn-agent:identity'] }),
    call('ec2:CreateTags', { 'ec2:volume/vol-keys': keys }, tagging({ 't0rn-agent:identity': 'another' })),
    call('ec2:DeleteTags', { 'ec2:snapshot/snap-keys': snapshotOfKeys }, { 'aws:TagKeys': ['t0rn-agent:identity-snapshot'] }),
    ...several('dlm', 'UpdateLifecyclePolicy DeleteLifecyclePolicy', { 'dlm:policy/policy-1': own }),
  ]

  const escalation = [
    call('iam:AttachRolePolicy', role, { 'iam:PolicyARN': 'arn:aws:iam::aws:policy/AdministratorAccess' }),
    call('iam:AttachRolePolicy', `iam:role/${stack}-apply`, core),
    call('iam:PutRolePolicy', `iam:role/${stack}-apply`),
    call('iam:PutRolePolicy', `iam:role/${stack}-image-builder`),
    call('iam:DeleteRole', `iam:role/${stack}-bake`),
    call('iam:UpdateAssumeRolePolicy', role),
    call('iam:UpdateAssumeRolePolicy', `iam:role/${stack}-publish`),
    call('iam:CreatePolicyVersion', `iam:policy/${stack}-operator`),
    ...several('iam', 'DeletePolicy CreatePolicyVersion', `iam:policy/${stack}-apply-network`),
    call('iam:DetachRolePolicy', `iam:role/${stack}-apply`, { 'iam:PolicyARN': `arn:aws:iam::123456789012:policy/${stack}-apply-network` }),
    call('iam:SetDefaultPolicyVersion', `iam:policy/${stack}-operator`),
    call('iam:PassRole', role, passed('lambda')),
    call('iam:PassRole', role, passed('ssm')),
    call('iam:PassRole', `iam:role/${stack}-apply`, passed('ec2')),
    call('iam:PassRole', 'iam:role/admin', passed('ec2')),
    ...several('iam', 'CreateRole PutRolePolicy DeleteRole', 'iam:role/admin'),
    call('iam:CreateRole', `iam:role/${stack}2-collator`),
    ...several('iam', 'CreateUser CreateAccessKey AttachUserPolicy', 'iam:user/someone'),
    call('iam:AddRoleToInstanceProfile', `iam:instance-profile/${stack}-image-builder`),
    call('iam:CreateServiceLinkedRole', 'iam:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS', { 'iam:AWSServiceName': 'ecs.amazonaws.com' }),
    call('sts:AssumeRole', 'iam:role/admin'),
  ]

  const elsewhere = [
    ...secrets(stack),
    ...['delivery', 'image-pipeline'].flatMap((component) => [
      call('s3:PutObject', `s3:${state(stack)}/${component}/${stack}/terraform.tfstate`),
      call('s3:DeleteObject', `s3:${state(stack)}/${component}/${stack}/terraform.tfstate`),
    ]),
    call('s3:PutObject', `s3:${state(stack)}/infra-vpc/${beside(stack)}/terraform.tfstate`),
    call('s3:DeleteObject', `s3:${state(stack)}/infra-vpc/${stack}/terraform.tfstate`),
    call('s3:PutBucketPolicy', `s3:${state(stack)}`),
    call('s3:PutBucketPolicy', 's3:another-bucket'),
    ...several('autoscaling', 'UpdateAutoScalingGroup DeleteAutoScalingGroup StartInstanceRefresh', foreignGroup),
    call('autoscaling:UpdateAutoScalingGroup', `autoscaling:autoScalingGroup:0a1b2c3d-0000-0000-0000-000000000000:autoScalingGroupName/${beside(stack)}-collator`),
    call('ssm:SendCommand', 'ec2:instance/i-2'),
    call('ssm:StartSession', 'ec2:instance/i-2'),
    call('ssm:CreateAssociation', { [`ssm:document/${stack}-status`]: {}, 'ssm:association/1': {} }, born),
    call('ssm:CreateAssociation', { 'arn:aws:ssm:eu-central-1:123456789012:document/AWS-RunShellScript': {}, 'ssm:association/1': {} }, born),
    call('ssm:CreateAssociation', { [collector]: {}, 'ssm:association/1': {} }),
    call('ssm:UpdateAssociation', { 'ssm:association/1': own, 'arn:aws:ssm:eu-central-1:123456789012:document/AWS-RunShellScript': {} }),
    call('ssm:UpdateAssociation', { 'ssm:association/1': own, [`ssm:document/${beside(stack)}-status`]: another }),
    call('ssm:UpdateAssociation', { 'ssm:association/1': own, 'ec2:instance/i-2': {} }),
    ...several('ssm', 'UpdateDocument UpdateDocumentDefaultVersion DeleteDocument', `ssm:document/${beside(stack)}-collect-metrics`),
    ...several('ssm', 'UpdateDocument DeleteDocument ModifyDocumentPermission', 'ssm:document/t0rn-agent-status'),
    call('ssm:ModifyDocumentPermission', collector),
    call('ssm:StartAssociationsOnce', 'ssm:association/1'),
    call('ssm:CreateAssociationBatch', { [collector]: {}, 'ec2:instance/i-1': {} }),
    call('ssm:SendCommand', { [collector]: {}, 'ec2:instance/i-2': {} }),
    ...several('ssm', 'CreateMaintenanceWindow', '*'),
    call('ssm:CreateAssociation', { [collector]: {}, 'ssm:association/1': {}, 'ec2:instance/i-2': {} }, born),
    call('ssm:StartAutomationExecution', 'ssm:automation-definition/AWS-RestartEC2Instance:1'),
    call('ssm:UpdateDocument', 'ssm:document/another'),
    call('ssm:PutParameter', `ssm:parameter/t0rn-agent/${stack}/ami`),
    call('logs:DeleteLogGroup', 'logs:log-group:/aws/another'),
    call('cloudwatch:DeleteAlarms', 'cloudwatch:alarm:another'),
    call('sns:SetTopicAttributes', 'sns:another'),
    call('kms:Decrypt', 'kms:key/1'),
    call('kms:Decrypt', 'kms:key/2', through),
    call('kms:CreateGrant', 'kms:key/1', { ...through, 'kms:GrantIsForAWSResource': 'false' }),
    call('lambda:CreateFunction', 'lambda:function:x'),
    call('ec2:CreateVpc', 'arn:aws:ec2:us-east-1:123456789012:vpc/vpc-1', born),
    call('ec2:CreateVpc', 'ec2:vpc/vpc-1'),
    call('ec2:CreateVpc', 'ec2:vpc/vpc-1', tagging({ Stack: beside(stack) })),
    // A default that was tagged is never opened, nor loses its name.
    call('ec2:AuthorizeSecurityGroupIngress', { 'ec2:security-group/sg-default': closed, 'ec2:security-group-rule/sgr-1': {} }, born),
    call('ec2:CreateNetworkAclEntry', { 'ec2:network-acl/acl-default': closed }),
    call('ec2:CreateTags', { 'ec2:security-group/sg-default': closed }, tagging({ Name: 'another' })),
    call('ec2:DeleteTags', { 'ec2:security-group/sg-default': closed }, { 'aws:TagKeys': ['Name'] }),
    call('ec2:DeleteSecurityGroup', { 'ec2:security-group/sg-default': closed }),
  ]

  const mustNot = [
    ...foreign, ...kept, ...identity, ...escalation, ...elsewhere, ...(vpc ? elsewhereInTheRegion : []), ...(associations ? [] : associating),
  ]
  return {
    apply: { must: [...looks(stack), ...network, ...machines, ...rest], mustNot },
  }
}
