locals {
  partition   = data.aws_partition.this.partition
  region_only = { StringEquals = { "aws:RequestedRegion" = var.region } }
  flow_logs   = "arn:${local.partition}:s3:::${local.stack}-flow-logs-*"

  state_read = [
    {
      Sid      = "StateList"
      Effect   = "Allow"
      Action   = "s3:ListBucket"
      Resource = "arn:${local.partition}:s3:::${var.state_bucket}"
    },
    {
      # Terraform asks in this way whether the bucket is still there.
      Sid      = "FlowLogsList"
      Effect   = "Allow"
      Action   = "s3:ListBucket"
      Resource = local.flow_logs
    },
    {
      Sid      = "StateRead"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = "arn:${local.partition}:s3:::${var.state_bucket}/*"
    },
  ]

  # The lock is an object beside the state's: a plan takes it too.
  state_lock = [{
    Sid      = "StateLock"
    Effect   = "Allow"
    Action   = ["s3:PutObject", "s3:DeleteObject"]
    Resource = "arn:${local.partition}:s3:::${var.state_bucket}/*.tflock"
  }]

  state_write = [{
    Sid      = "StateWrite"
    Effect   = "Allow"
    Action   = ["s3:PutObject", "s3:DeleteObject"]
    Resource = "arn:${local.partition}:s3:::${var.state_bucket}/*"
  }]

  # Names say what is read: no contents of secrets, objects or logs.
  look = [{
    Sid    = "Look"
    Effect = "Allow"
    Action = [
      "autoscaling:Describe*",
      "cloudwatch:DescribeAlarms", "cloudwatch:GetDashboard", "cloudwatch:ListTagsForResource",
      "dlm:GetLifecyclePolicy", "dlm:GetLifecyclePolicies", "dlm:ListTagsForResource",
      "ec2:Describe*", "ec2:GetEbsEncryptionByDefault",
      "iam:GetInstanceProfile", "iam:GetOpenIDConnectProvider", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole",
      "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListPolicyVersions",
      "iam:ListRolePolicies", "iam:ListRoleTags",
      "kms:DescribeKey", "kms:ListAliases",
      "logs:DescribeLogGroups", "logs:ListTagsForResource",
      "s3:GetAccelerateConfiguration", "s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration",
      "s3:GetReplicationConfiguration",
      "sns:GetSubscriptionAttributes", "sns:GetTopicAttributes", "sns:ListTagsForResource",
      "ssm:DescribeAssociation", "ssm:DescribeDocument", "ssm:DescribeDocumentPermission", "ssm:DescribeParameters",
      "ssm:GetDocument", "ssm:ListTagsForResource",
      "sts:GetCallerIdentity",
    ]
    Resource = "*"
  }]

  image_parameter = [{
    Sid      = "ImageParameter"
    Effect   = "Allow"
    Action   = ["ssm:GetParameter", "ssm:GetParameters"]
    Resource = ["arn:${local.partition}:ssm:${var.region}:*:parameter/t0rn-agent/${local.stack}/*", "arn:${local.partition}:ssm:${var.region}::parameter/aws/service/*"]
  }]

  machines = [
    "ec2:Allocate*", "ec2:Associate*", "ec2:Attach*", "ec2:Authorize*", "ec2:Create*", "ec2:Detach*", "ec2:Disassociate*",
    "ec2:Modify*", "ec2:Replace*", "ec2:Revoke*", "ec2:RunInstances",
    "autoscaling:*AutoScalingGroup", "autoscaling:*InstanceRefresh", "autoscaling:*LifecycleHook", "autoscaling:*Processes",
    "autoscaling:*MetricsCollection", "autoscaling:CreateOrUpdateTags", "autoscaling:DeleteTags",
    "autoscaling:SetInstanceProtection",
    "dlm:*LifecyclePolicy", "dlm:TagResource", "dlm:UntagResource",
  ]
  machines_end = ["ec2:Delete*", "ec2:Release*"]

  network_and_machines = [
    {
      # A resource that is made has no tags yet that could be asked for: the region is the fence, and what follows.
      Sid       = "NetworkAndMachines"
      Effect    = "Allow"
      Action    = local.machines
      Resource  = "*"
      Condition = local.region_only
    },
    {
      Sid       = "EndOfWhatIsThisStacks"
      Effect    = "Allow"
      Action    = local.machines_end
      Resource  = "*"
      Condition = { StringEquals = { "aws:RequestedRegion" = var.region, "aws:ResourceTag/Stack" = local.stack } }
    },
    {
      # Nor may it take another stack's tag away, or put its own over it.
      Sid       = "NothingOfAnotherStacks"
      Effect    = "Deny"
      Action    = concat(local.machines, local.machines_end)
      Resource  = "*"
      Condition = { Null = { "aws:ResourceTag/Stack" = "false" }, StringNotEquals = { "aws:ResourceTag/Stack" = local.stack } }
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

  # Whoever sets a boundary wants it on every role: else whoever applies could make one without, and take it.
  bounded_actions = ["iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"]
  unbounded = var.permissions_boundary_arn == null ? [] : [{
    Sid       = "NoRoleWithoutItsBoundary"
    Effect    = "Deny"
    Action    = local.bounded_actions
    Resource  = "*"
    Condition = { StringNotEquals = { "iam:PermissionsBoundary" = var.permissions_boundary_arn } }
  }]

  # By name, with a separator behind it: nothing of another stack's in the same account. Associations have no names; their
  # document has one.
  own = [
    {
      Sid    = "Roles"
      Effect = "Allow"
      Action = [
        "iam:AddRoleToInstanceProfile", "iam:AttachRolePolicy", "iam:CreateInstanceProfile", "iam:CreatePolicy",
        "iam:CreatePolicyVersion", "iam:CreateRole", "iam:DeleteInstanceProfile", "iam:DeletePolicy",
        "iam:DeletePolicyVersion", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:PassRole",
        "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile", "iam:TagPolicy", "iam:TagRole",
        "iam:UntagInstanceProfile", "iam:UntagPolicy", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
      ]
      Resource = [for kind in ["instance-profile", "policy", "role"] : "arn:${local.partition}:iam::*:${kind}/${local.stack}-*"]
    },
    {
      Sid       = "ServiceRoleOfAutoScaling"
      Effect    = "Allow"
      Action    = "iam:CreateServiceLinkedRole"
      Resource  = "arn:${local.partition}:iam::*:role/aws-service-role/autoscaling.amazonaws.com/*"
      Condition = { StringEquals = { "iam:AWSServiceName" = "autoscaling.amazonaws.com" } }
    },
    {
      # It gives itself no rights directly. Through a role that it makes it still could: the gate before it is the fence,
      # and permissions_boundary_arn, which it may not change either.
      Sid      = "NotItsOwnRoles"
      Effect   = "Deny"
      Action   = ["iam:Attach*", "iam:Create*", "iam:Delete*", "iam:Detach*", "iam:PassRole", "iam:Put*", "iam:Update*"]
      Resource = concat([for role in ["plan", "apply", "bake", "publish"] : "arn:${local.partition}:iam::*:role/${local.stack}-${role}"], var.permissions_boundary_arn == null ? [] : [var.permissions_boundary_arn])
    },
    {
      Sid      = "Documents"
      Effect   = "Allow"
      Action   = ["ssm:AddTagsToResource", "ssm:CreateDocument", "ssm:DeleteDocument", "ssm:RemoveTagsFromResource", "ssm:UpdateDocument", "ssm:UpdateDocumentDefaultVersion"]
      Resource = "arn:${local.partition}:ssm:${var.region}:*:document/${local.stack}-*"
    },
    {
      Sid      = "Associations"
      Effect   = "Allow"
      Action   = ["ssm:CreateAssociation", "ssm:DeleteAssociation", "ssm:UpdateAssociation"]
      Resource = ["arn:${local.partition}:ssm:${var.region}:*:document/${local.stack}-*", "arn:${local.partition}:ssm:${var.region}:*:association/*"]
    },
    {
      Sid    = "AlarmsAndLogs"
      Effect = "Allow"
      Action = [
        "cloudwatch:DeleteAlarms", "cloudwatch:DeleteDashboards", "cloudwatch:PutDashboard", "cloudwatch:PutMetricAlarm",
        "cloudwatch:TagResource", "cloudwatch:UntagResource",
        "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DeleteRetentionPolicy", "logs:PutRetentionPolicy",
        "logs:TagResource", "logs:UntagResource",
        "sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Subscribe", "sns:TagResource", "sns:Unsubscribe",
        "sns:UntagResource",
      ]
      Resource = [
        "arn:${local.partition}:cloudwatch:${var.region}:*:alarm:${local.stack}-*",
        "arn:${local.partition}:cloudwatch::*:dashboard/${local.stack}",
        "arn:${local.partition}:logs:${var.region}:*:log-group:/${local.stack}/*",
        "arn:${local.partition}:logs:${var.region}:*:log-group:/t0rn-agent/${local.stack}/*",
        "arn:${local.partition}:sns:${var.region}:*:${local.stack}-*",
      ]
    },
    {
      Sid      = "Buckets"
      Effect   = "Allow"
      Action   = ["s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucket*", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration"]
      Resource = local.flow_logs
    },
    {
      # For flow_logs_force_destroy.
      Sid      = "FlowLogsEmpty"
      Effect   = "Allow"
      Action   = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ListBucketVersions"]
      Resource = [local.flow_logs, "${local.flow_logs}/*"]
    },
  ]
}

resource "aws_iam_role_policy" "plan" {
  name = "plan"
  role = module.plan.name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.state_read, local.state_lock, local.look, local.image_parameter)
  })
}

resource "aws_iam_role_policy" "apply" {
  name = "apply"
  role = module.apply.name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.state_read, local.state_write, local.look, local.image_parameter, local.network_and_machines, local.own, local.unbounded)
  })
}
