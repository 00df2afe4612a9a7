locals {
  region_only = { StringEquals = { "aws:RequestedRegion" = var.region } }

  state_read = [
    {
      Sid      = "StateList"
      Effect   = "Allow"
      Action   = "s3:ListBucket"
      Resource = "arn:aws:s3:::${var.state_bucket}"
    },
    {
      Sid      = "StateRead"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = "arn:aws:s3:::${var.state_bucket}/*"
    },
  ]

  # The lock is an object beside the state's: a plan takes it too.
  state_lock = [{
    Sid      = "StateLock"
    Effect   = "Allow"
    Action   = ["s3:PutObject", "s3:DeleteObject"]
    Resource = "arn:aws:s3:::${var.state_bucket}/*.tflock"
  }]

  state_write = [{
    Sid      = "StateWrite"
    Effect   = "Allow"
    Action   = ["s3:PutObject", "s3:DeleteObject"]
    Resource = "arn:aws:s3:::${var.state_bucket}/*"
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
      "events:DescribeRule", "events:ListTagsForResource", "events:ListTargetsByRule",
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
    Resource = ["arn:aws:ssm:${var.region}:*:parameter/t0rn-agent/${local.stack}/*", "arn:aws:ssm:${var.region}::parameter/aws/service/*"]
  }]

  network_and_machines = [{
    Sid    = "NetworkAndMachines"
    Effect = "Allow"
    # EC2 knows a resource's tags only after it was made; the region is the fence, and the account is the stage's.
    Action = [
      "ec2:Allocate*", "ec2:Associate*", "ec2:Attach*", "ec2:Authorize*", "ec2:Create*", "ec2:Delete*", "ec2:Detach*",
      "ec2:Disassociate*", "ec2:Modify*", "ec2:Release*", "ec2:Replace*", "ec2:Revoke*", "ec2:RunInstances",
      "autoscaling:*AutoScalingGroup", "autoscaling:*InstanceRefresh", "autoscaling:*LifecycleHook", "autoscaling:*Processes",
      "autoscaling:*MetricsCollection", "autoscaling:CreateOrUpdateTags", "autoscaling:DeleteTags",
      "autoscaling:SetInstanceProtection",
      "dlm:*LifecyclePolicy", "dlm:TagResource", "dlm:UntagResource",
    ]
    Resource  = "*"
    Condition = local.region_only
  }]

  # By name: nothing of another stack's in the same account.
  own = [
    {
      Sid    = "Roles"
      Effect = "Allow"
      Action = [
        "iam:AddRoleToInstanceProfile", "iam:AttachRolePolicy", "iam:CreateInstanceProfile", "iam:CreatePolicy",
        "iam:CreatePolicyVersion", "iam:CreateRole", "iam:DeleteInstanceProfile", "iam:DeletePolicy",
        "iam:DeletePolicyVersion", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:PassRole",
        "iam:PutRolePolicy", "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile", "iam:TagPolicy", "iam:TagRole",
        "iam:UntagInstanceProfile", "iam:UntagPolicy", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
      ]
      Resource = [for kind in ["instance-profile", "policy", "role"] : "arn:aws:iam::*:${kind}/${local.stack}-*"]
    },
    {
      Sid       = "ServiceRoleOfAutoScaling"
      Effect    = "Allow"
      Action    = "iam:CreateServiceLinkedRole"
      Resource  = "arn:aws:iam::*:role/aws-service-role/autoscaling.amazonaws.com/*"
      Condition = { StringEquals = { "iam:AWSServiceName" = "autoscaling.amazonaws.com" } }
    },
    {
      # It gives itself no rights directly. Through a role that it makes it still could: the gate before it is the fence.
      Sid      = "NotItsOwnRoles"
      Effect   = "Deny"
      Action   = ["iam:Attach*", "iam:Create*", "iam:Delete*", "iam:Detach*", "iam:PassRole", "iam:Put*", "iam:Update*"]
      Resource = [for role in ["plan", "apply", "bake", "publish"] : "arn:aws:iam::*:role/${local.stack}-${role}"]
    },
    {
      Sid      = "Documents"
      Effect   = "Allow"
      Action   = ["ssm:AddTagsToResource", "ssm:CreateDocument", "ssm:DeleteDocument", "ssm:RemoveTagsFromResource", "ssm:UpdateDocument", "ssm:UpdateDocumentDefaultVersion"]
      Resource = "arn:aws:ssm:${var.region}:*:document/${local.stack}-*"
    },
    {
      Sid      = "Associations"
      Effect   = "Allow"
      Action   = ["ssm:CreateAssociation", "ssm:DeleteAssociation", "ssm:UpdateAssociation"]
      Resource = ["arn:aws:ssm:${var.region}:*:document/${local.stack}-*", "arn:aws:ssm:${var.region}:*:association/*"]
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
        "events:DeleteRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets", "events:TagResource",
      ]
      Resource = [
        "arn:aws:cloudwatch:${var.region}:*:alarm:${local.stack}-*",
        "arn:aws:cloudwatch::*:dashboard/${local.stack}*",
        "arn:aws:logs:${var.region}:*:log-group:*${local.stack}*",
        "arn:aws:sns:${var.region}:*:${local.stack}-*",
        "arn:aws:events:${var.region}:*:rule/${local.stack}-*",
      ]
    },
    {
      Sid      = "Buckets"
      Effect   = "Allow"
      Action   = ["s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucket*", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration"]
      Resource = "arn:aws:s3:::${local.stack}-*"
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
    Statement = concat(local.state_read, local.state_write, local.look, local.image_parameter, local.network_and_machines, local.own)
  })
}
