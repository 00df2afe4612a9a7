# What the role apply may do in EC2, Auto Scaling and DLM. A resource is made with the stack's tag or not at all, and changed or
# deleted only where it bears it: what has no tag belongs to others, too.
locals {
  ec2  = "arn:${local.partition}:ec2:${var.region}:*"
  born = { StringEquals = { "aws:RequestTag/Stack" = local.stack } }
  # Where the service does not say whether a tag is set at birth: on what has none, or this stack's already.
  newborn = merge(local.born, { StringEqualsIfExists = { "aws:ResourceTag/Stack" = local.stack } })
  # A tag that is set on it names the stack as well.
  owned = { StringEquals = { "aws:ResourceTag/Stack" = local.stack }, StringEqualsIfExists = { "aws:RequestTag/Stack" = local.stack } }

  # A VPC brings these along, without tags. They are tagged under these names, and from then on only closed.
  defaults = ["${local.stack}-vpc-default-closed", "${local.stack}-vpc-default-empty"]
  # Of this VPC alone, once it is known. IAM asks for a VPC's ARN, and knows no tag of the VPC that something lies in.
  untagged_here = merge({ Null = { "aws:ResourceTag/Stack" = "true" } }, var.vpc_id == "" ? {} : { ArnLike = { "ec2:Vpc" = "${local.ec2}:vpc/${var.vpc_id}" } })

  network = [
    # In each, what is made and nothing that it is made in or from: that has to be the stack's already (OfThisStack).
    {
      Sid       = "MakeNetwork"
      Effect    = "Allow"
      Action    = "ec2:CreateVpc"
      Resource  = "${local.ec2}:vpc/*"
      Condition = local.born
    },
    {
      Sid       = "MakeInNetwork"
      Effect    = "Allow"
      Action    = ["ec2:AllocateAddress", "ec2:CreateNetworkAcl", "ec2:CreateRouteTable", "ec2:CreateSecurityGroup", "ec2:CreateSubnet"]
      Resource  = [for kind in ["elastic-ip", "network-acl", "route-table", "security-group", "subnet"] : "${local.ec2}:${kind}/*"]
      Condition = local.born
    },
    {
      Sid    = "MakeOfNetwork"
      Effect = "Allow"
      Action = [
        "ec2:CreateEgressOnlyInternetGateway", "ec2:CreateFlowLogs", "ec2:CreateInternetGateway", "ec2:CreateLaunchTemplate",
        "ec2:CreateVolume", "ec2:CreateVpcEndpoint",
      ]
      Resource  = [for kind in ["egress-only-internet-gateway", "internet-gateway", "launch-template", "volume", "vpc-endpoint", "vpc-flow-log"] : "${local.ec2}:${kind}/*"]
      Condition = local.born
    },
    {
      Sid       = "MakeNatGateway"
      Effect    = "Allow"
      Action    = "ec2:CreateNatGateway"
      Resource  = "${local.ec2}:natgateway/*"
      Condition = local.born
    },
    {
      # A rule has no owner but its group.
      Sid      = "Rules"
      Effect   = "Allow"
      Action   = ["ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress", "ec2:ModifySecurityGroupRules"]
      Resource = "${local.ec2}:security-group-rule/*"
    },
    {
      # Not one that bears another stack's tag. The tag is no right: a rule is changed with its group.
      Sid       = "TagRules"
      Effect    = "Allow"
      Action    = "ec2:CreateTags"
      Resource  = "${local.ec2}:security-group-rule/*"
      Condition = local.newborn
    },
    {
      Sid       = "TagAtBirth"
      Effect    = "Allow"
      Action    = "ec2:CreateTags"
      Resource  = "${local.ec2}:*"
      Condition = { StringEquals = local.born.StringEquals, StringLike = { "ec2:CreateAction" = ["AllocateAddress", "Authorize*", "Create*", "RunInstances"] } }
    },
    {
      Sid    = "OfThisStack"
      Effect = "Allow"
      Action = [
        "ec2:AssociateRouteTable", "ec2:AssociateSubnetCidrBlock", "ec2:AssociateVpcCidrBlock", "ec2:AttachInternetGateway",
        "ec2:AuthorizeSecurityGroup*", "ec2:CreateEgressOnlyInternetGateway", "ec2:CreateFlowLogs",
        "ec2:CreateLaunchTemplateVersion", "ec2:CreateNatGateway", "ec2:CreateNetworkAcl*", "ec2:CreateRoute", "ec2:CreateRouteTable",
        "ec2:CreateSecurityGroup", "ec2:CreateSubnet", "ec2:CreateTags", "ec2:CreateVpcEndpoint",
        "ec2:DeleteEgressOnlyInternetGateway", "ec2:DeleteFlowLogs", "ec2:DeleteInternetGateway", "ec2:DeleteLaunchTemplate*",
        "ec2:DeleteNatGateway", "ec2:DeleteNetworkAcl*", "ec2:DeleteRoute", "ec2:DeleteRouteTable",
        "ec2:DeleteSecurityGroup", "ec2:DeleteSubnet", "ec2:DeleteTags", "ec2:DeleteVpc", "ec2:DeleteVpcEndpoints",
        "ec2:DetachInternetGateway", "ec2:DisassociateAddress", "ec2:DisassociateRouteTable",
        "ec2:DisassociateSubnetCidrBlock", "ec2:DisassociateVpcCidrBlock", "ec2:ModifyLaunchTemplate",
        "ec2:ModifySecurityGroupRules", "ec2:ModifySubnetAttribute", "ec2:ModifyVolume", "ec2:ModifyVpcAttribute",
        "ec2:ModifyVpcEndpoint", "ec2:ReleaseAddress", "ec2:ReplaceNetworkAcl*", "ec2:ReplaceRoute", "ec2:ReplaceRouteTableAssociation",
        "ec2:RevokeSecurityGroup*", "ec2:RunInstances",
      ]
      Resource  = "${local.ec2}:*"
      Condition = local.owned
    },
    {
      Sid       = "TagDefaults"
      Effect    = "Allow"
      Action    = "ec2:CreateTags"
      Resource  = [for kind in ["network-acl", "route-table", "security-group"] : "${local.ec2}:${kind}/*"]
      Condition = merge(local.untagged_here, { StringEquals = merge(local.born.StringEquals, { "aws:RequestTag/Name" = local.defaults }) })
    },
    {
      # Subnets leave the default ACL, and the provider empties it, before it is tagged.
      Sid       = "EmptyDefaultAcl"
      Effect    = "Allow"
      Action    = ["ec2:DeleteNetworkAclEntry", "ec2:ReplaceNetworkAclAssociation"]
      Resource  = "${local.ec2}:network-acl/*"
      Condition = local.untagged_here
    },
    {
      Sid    = "DefaultsStayClosed"
      Effect = "Deny"
      Action = [
        "ec2:AssociateRouteTable", "ec2:AuthorizeSecurityGroup*", "ec2:CreateNetworkAclEntry", "ec2:CreateRoute",
        "ec2:CreateVpcEndpoint", "ec2:DeleteNetworkAcl", "ec2:DeleteRouteTable", "ec2:DeleteSecurityGroup", "ec2:DeleteTags",
        "ec2:ModifySecurityGroupRules", "ec2:ReplaceNetworkAclEntry", "ec2:ReplaceRoute*", "ec2:RunInstances",
      ]
      Resource  = "*"
      Condition = { StringEquals = { "aws:ResourceTag/Name" = local.defaults } }
    },
    {
      Sid       = "DefaultsKeepTheirNames"
      Effect    = "Deny"
      Action    = "ec2:CreateTags"
      Resource  = "*"
      Condition = { StringEquals = { "aws:ResourceTag/Name" = local.defaults }, StringNotEqualsIfExists = { "aws:RequestTag/Name" = local.defaults }, Null = { "aws:RequestTag/Name" = "false" } }
    },
    {
      # IAM knows no resource for these, without which EC2 makes and removes no flow log.
      Sid       = "FlowLogsDelivery"
      Effect    = "Allow"
      Action    = ["logs:CreateLogDelivery", "logs:DeleteLogDelivery"]
      Resource  = "*"
      Condition = local.region_only
    },
  ]

  machines = [
    {
      # Auto Scaling asks for these on behalf of the role that gives it a launch template.
      Sid       = "RunInstances"
      Effect    = "Allow"
      Action    = "ec2:RunInstances"
      Resource  = [for kind in ["instance", "network-interface", "volume"] : "${local.ec2}:${kind}/*"]
      Condition = local.born
    },
    {
      Sid      = "RunInstancesFrom"
      Effect   = "Allow"
      Action   = "ec2:RunInstances"
      Resource = ["arn:${local.partition}:ec2:${var.region}::image/*", "arn:${local.partition}:ec2:${var.region}::snapshot/*"]
    },
    {
      # Its group by name.
      Sid    = "Group"
      Effect = "Allow"
      Action = [
        "autoscaling:*AutoScalingGroup", "autoscaling:*InstanceRefresh", "autoscaling:*LifecycleHook",
        "autoscaling:*MetricsCollection", "autoscaling:*Processes", "autoscaling:CreateOrUpdateTags", "autoscaling:DeleteTags",
        "autoscaling:SetInstanceProtection",
      ]
      Resource = "arn:${local.partition}:autoscaling:${var.region}:*:autoScalingGroup:*:autoScalingGroupName/${local.stack}-*"
    },
    {
      # The schedule of the identity's snapshots is made here; it is changed and removed by an administrator.
      Sid       = "ScheduleOfSnapshots"
      Effect    = "Allow"
      Action    = ["dlm:CreateLifecyclePolicy", "dlm:TagResource"]
      Resource  = "*"
      Condition = merge(local.newborn, { StringEquals = merge(local.born.StringEquals, { "aws:RequestedRegion" = var.region }) })
    },
  ]

  # The volume with the collator's keys and its snapshots: made and tagged here, and then neither moved, copied, shared nor deleted.
  identity = concat(
    [
      for key in ["identity", "identity-snapshot"] : {
        Sid    = "Keep${join("", [for word in split("-", key) : title(word)])}"
        Effect = "Deny"
        Action = [
          "ec2:AttachVolume", "ec2:Copy*", "ec2:CreateImage", "ec2:CreateSnapshot*", "ec2:CreateVolume", "ec2:DeleteSnapshot",
          "ec2:DeleteVolume", "ec2:DetachVolume", "ec2:*SnapshotAttribute", "ec2:*SnapshotTier", "ec2:RunInstances",
        ]
        Resource  = "*"
        Condition = { Null = { "aws:ResourceTag/t0rn-agent:${key}" = "false" } }
      }
    ],
    [{
      Sid      = "KeepItsTag"
      Effect   = "Deny"
      Action   = ["ec2:CreateTags", "ec2:DeleteTags"]
      Resource = "*"
      Condition = {
        "ForAnyValue:StringEquals" = { "aws:TagKeys" = ["t0rn-agent:identity", "t0rn-agent:identity-snapshot"] }
        StringNotEqualsIfExists    = { "ec2:CreateAction" = "CreateVolume" }
      }
    }],
  )
}
