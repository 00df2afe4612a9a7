locals {
  partition   = data.aws_partition.this.partition
  region_only = { StringEquals = { "aws:RequestedRegion" = var.region } }
  flow_logs   = "arn:${local.partition}:s3:::${local.stack}-flow-logs-*"

  # Of the components that the workflow applies, by the prefix that Atmos gives a component's workspaces. The state of delivery
  # and image-pipeline is the administrators'.
  states = [
    for component in ["infra-vpc", "t0rn-identity", "t0rn-collator", "operations", "observability"] :
    "arn:${local.partition}:s3:::${var.state_bucket}/${component}/${local.stack}/terraform.tfstate"
  ]

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
      # Of the workspace that Terraform begins in, too: it is empty.
      Sid      = "StateRead"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = concat(["arn:${local.partition}:s3:::${var.state_bucket}/terraform.tfstate"], local.states)
    },
  ]

  # The lock is an object beside the state's: a plan takes it too.
  state_lock = [{
    Sid      = "StateLock"
    Effect   = "Allow"
    Action   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    Resource = [for state in local.states : "${state}.tflock"]
  }]

  state_write = [{
    Sid      = "StateWrite"
    Effect   = "Allow"
    Action   = "s3:PutObject"
    Resource = local.states
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
}

resource "aws_iam_role_policy" "plan" {
  #checkov:skip=CKV_AWS_355:IAM knows no resource for most of what is looked at, and names say what it is.
  name = "plan"
  role = module.plan.name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.state_read, local.state_lock, local.look, local.image_parameter)
  })
}

resource "aws_iam_role_policy" "apply" {
  #checkov:skip=CKV_AWS_355:The same as plan's, and what IAM knows no resource for.
  name = "apply"
  role = module.apply.name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.state_read, local.state_lock, local.state_write, local.look, local.image_parameter, local.own, local.keys, local.bounded)
  })
}

# A role takes 10,240 characters of its own and each of its policies 6,144. They are named so that the role may not change them
# either (NotItsOwnRoles).
resource "aws_iam_policy" "apply" {
  for_each = { network = local.network, machines = concat(local.machines, local.identity) }

  name        = "${local.stack}-apply-${each.key}"
  description = "For the role apply of ${local.stack}: ${each.key}"

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = each.value
  })
}

resource "aws_iam_role_policy_attachment" "apply" {
  for_each = aws_iam_policy.apply

  role       = module.apply.name
  policy_arn = each.value.arn
}
