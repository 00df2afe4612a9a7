locals {
  ec2       = "arn:${local.partition}:ec2:${var.region}:${local.account_id}"
  volume    = "${local.ec2}:volume/${var.identity_volume_id}"
  log_group = "arn:${local.partition}:logs:${var.region}:${local.account_id}:log-group:/t0rn-agent/${module.label.stack}/metrics"
  # Neither of them given: nothing.
  keys      = distinct(compact([var.kms_key_arn, var.identity_kms_key_arn]))
  group_arn = "arn:${local.partition}:autoscaling:${var.region}:${local.account_id}:autoScalingGroup:*:autoScalingGroupName/${local.id}"

  statements = concat(
    [
      {
        Sid       = "IdentityVolume"
        Effect    = "Allow"
        Action    = ["ec2:AttachVolume", "ec2:DetachVolume"]
        Resource  = [local.volume]
        Condition = {}
      },
      {
        Sid       = "ToInstancesOfThisStack"
        Effect    = "Allow"
        Action    = ["ec2:AttachVolume", "ec2:DetachVolume"]
        Resource  = ["${local.ec2}:instance/*"]
        Condition = { StringEquals = { "aws:ResourceTag/Stack" = module.label.stack, "aws:ResourceTag/Component" = "collator" } }
      },
      {
        # IAM knows no resource for looking at volumes.
        Sid       = "WhoHoldsTheVolume"
        Effect    = "Allow"
        Action    = ["ec2:DescribeVolumes"]
        Resource  = ["*"]
        Condition = { StringEquals = { "aws:RequestedRegion" = var.region } }
      },
      {
        # IAM knows no resource for looking at tags: CloudWatch's agent learns its group's name from them.
        Sid       = "WhichGroupItIs"
        Effect    = "Allow"
        Action    = ["ec2:DescribeTags"]
        Resource  = ["*"]
        Condition = { StringEquals = { "aws:RequestedRegion" = var.region } }
      },
      {
        # Nor one for figures: their namespace is the fence.
        Sid       = "Figures"
        Effect    = "Allow"
        Action    = ["cloudwatch:PutMetricData"]
        Resource  = ["*"]
        Condition = { StringEquals = { "cloudwatch:namespace" = "T0rnAgent" } }
      },
      {
        # No right to make the group: it is observability's, and made anew while that is destroyed, it would stop the next apply.
        Sid       = "IntoTheLogOfObservability"
        Effect    = "Allow"
        Action    = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource  = ["${local.log_group}:*"]
        Condition = {}
      },
      {
        Sid       = "EndTheWaitOfTheLifecycleHook"
        Effect    = "Allow"
        Action    = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"]
        Resource  = [local.group_arn]
        Condition = {}
      },
    ],
    # Who attaches an encrypted volume lets EBS use its key; with the account's default key, every principal of the account may.
    length(local.keys) == 0 ? [] : [{
      Sid       = "UseOfTheKeyByEbs"
      Effect    = "Allow"
      Action    = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey"]
      Resource  = local.keys
      Condition = { StringEquals = { "kms:ViaService" = "ec2.${var.region}.amazonaws.com" } }
    }],
  )
}

resource "aws_iam_role" "this" {
  name                 = local.id
  description          = "What the instance of ${local.id} may do"
  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })

  tags = local.tags
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = toset(["AmazonSSMManagedInstanceCore"])

  role       = aws_iam_role.this.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/${each.key}"
}

resource "aws_iam_role_policy" "this" {
  name = "collator"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in local.statements : { for key, value in statement : key => value if key != "Condition" || value != {} }]
  })
}

module "no_foreign_parameters" {
  source = "../modules/no-foreign-parameters"

  partition         = local.partition
  document_prefixes = [module.label.stack]
}

resource "aws_iam_role_policy" "foreign" {
  name   = "no-foreign-parameters"
  role   = aws_iam_role.this.id
  policy = module.no_foreign_parameters.policy
}

resource "aws_iam_instance_profile" "this" {
  name = local.id
  role = aws_iam_role.this.name

  tags = local.tags
}
