# What the role apply may do with roles, documents, alarms, logs, buckets and keys.
locals {
  collector    = "arn:${local.partition}:ssm:${var.region}:*:document/${local.stack}-collect-metrics"
  associations = "arn:${local.partition}:ssm:${var.region}:*:association/*"

  # What changes a role's rights or who takes it. With a boundary, only of roles that have it; without one, trust and named policies
  # stay as they were made, since they are the administrators' and other users' as well.
  unbounded = var.permissions_boundary_arn == null
  bounded_actions = [
    "iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy",
  ]
  bounded = local.unbounded ? [] : [{
    Sid       = "NoRoleWithoutItsBoundary"
    Effect    = "Deny"
    Action    = local.bounded_actions
    Resource  = "*"
    Condition = { StringNotEquals = { "iam:PermissionsBoundary" = var.permissions_boundary_arn } }
  }]

  # By name, with a separator behind it: nothing of another stack's in the same account. Associations have no names; their
  # document has one.
  own = [for statement in [
    {
      Sid    = "Roles"
      Effect = "Allow"
      Action = concat(
        [
          "iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:CreatePolicy", "iam:CreateRole",
          "iam:DeleteInstanceProfile", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:DeleteRole", "iam:DeleteRolePolicy",
          "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile",
          "iam:TagPolicy", "iam:TagRole", "iam:UntagInstanceProfile", "iam:UntagPolicy", "iam:UntagRole", "iam:UpdateRole",
        ],
        local.unbounded ? [] : ["iam:CreatePolicyVersion", "iam:UpdateAssumeRolePolicy"],
      )
      Resource = [for kind in ["instance-profile", "policy", "role"] : "arn:${local.partition}:iam::*:${kind}/${local.stack}-*"]
    },
    {
      Sid       = "PoliciesOfRoles"
      Effect    = "Allow"
      Action    = ["iam:AttachRolePolicy", "iam:DetachRolePolicy"]
      Resource  = "arn:${local.partition}:iam::*:role/${local.stack}-*"
      Condition = { ArnEquals = { "iam:PolicyARN" = "arn:${local.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore" } }
    },
    {
      Sid       = "PassRoles"
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = "arn:${local.partition}:iam::*:role/${local.stack}-*"
      Condition = { StringEquals = { "iam:PassedToService" = ["dlm.amazonaws.com", "ec2.amazonaws.com", "vpc-flow-logs.amazonaws.com"] } }
    },
    {
      # Auto Scaling's, and EC2's for Spot: each is made once for an account, by the first who needs it.
      Sid       = "ServiceLinkedRoles"
      Effect    = "Allow"
      Action    = "iam:CreateServiceLinkedRole"
      Resource  = [for service in ["autoscaling", "spot"] : "arn:${local.partition}:iam::*:role/aws-service-role/${service}.amazonaws.com/*"]
      Condition = { StringEquals = { "iam:AWSServiceName" = ["autoscaling.amazonaws.com", "spot.amazonaws.com"] } }
    },
    {
      # It gives itself no rights directly. Through a role that it makes it still could: the gate before it is the fence,
      # and permissions_boundary_arn, which it may not change either.
      Sid    = "NotItsOwnRoles"
      Effect = "Deny"
      Action = ["iam:Add*", "iam:Attach*", "iam:Create*", "iam:Delete*", "iam:Detach*", "iam:PassRole", "iam:Put*", "iam:Remove*", "iam:Tag*", "iam:Untag*", "iam:Update*"]
      Resource = concat(
        [for role in ["apply", "bake", "image-builder", "plan", "publish"] : "arn:${local.partition}:iam::*:role/${local.stack}-${role}"],
        ["arn:${local.partition}:iam::*:instance-profile/${local.stack}-image-builder", "arn:${local.partition}:iam::*:policy/${local.stack}-apply-*"],
        var.permissions_boundary_arn == null ? [] : [var.permissions_boundary_arn],
      )
    },
    {
      Sid      = "Documents"
      Effect   = "Allow"
      Action   = ["ssm:AddTagsToResource", "ssm:CreateDocument", "ssm:DeleteDocument", "ssm:RemoveTagsFromResource", "ssm:UpdateDocument", "ssm:UpdateDocumentDefaultVersion"]
      Resource = "arn:${local.partition}:ssm:${var.region}:*:document/${local.stack}-*"
    },
    {
      # By its document, which has a name. IAM is not asked about instances that an association names by their tags, which is why
      # var.associations leaves the first two statements out.
      Sid       = "Associate"
      Effect    = "Allow"
      Action    = "ssm:CreateAssociation"
      Resource  = [local.collector, local.associations]
      Condition = local.born
    },
    {
      Sid       = "TagAssociationAtBirth"
      Effect    = "Allow"
      Action    = "ssm:AddTagsToResource"
      Resource  = local.associations
      Condition = merge(local.born, { Null = { "aws:ResourceTag/Stack" = "true" } })
    },
    {
      Sid       = "Association"
      Effect    = "Allow"
      Action    = concat(["ssm:AddTagsToResource", "ssm:DeleteAssociation", "ssm:RemoveTagsFromResource"], var.associations ? ["ssm:UpdateAssociation"] : [])
      Resource  = [local.collector, local.associations]
      Condition = local.owned
    },
    {
      Sid    = "AlarmsAndLogs"
      Effect = "Allow"
      Action = [
        "cloudwatch:DeleteAlarms", "cloudwatch:DeleteDashboards", "cloudwatch:PutDashboard", "cloudwatch:PutMetricAlarm",
        "cloudwatch:TagResource", "cloudwatch:UntagResource",
        "logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DeleteRetentionPolicy",
        "logs:DisassociateKmsKey", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource",
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
  ] : statement if var.associations || !contains(["Associate", "TagAssociationAtBirth"], statement.Sid)]

  # EBS encrypts with the key on behalf of the role that makes a volume or starts an instance.
  keys = [for statement in [
    {
      Sid       = "UseKeys"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"]
      Resource  = sort(var.kms_key_arns)
      Condition = { StringEquals = { "kms:ViaService" = "ec2.${var.region}.amazonaws.com" } }
    },
    {
      Sid       = "GrantKeysToEbs"
      Effect    = "Allow"
      Action    = "kms:CreateGrant"
      Resource  = sort(var.kms_key_arns)
      Condition = { StringEquals = { "kms:ViaService" = "ec2.${var.region}.amazonaws.com" }, Bool = { "kms:GrantIsForAWSResource" = "true" } }
    },
  ] : statement if length(var.kms_key_arns) > 0]
}
