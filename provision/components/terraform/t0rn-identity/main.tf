# A component of its own, because it outlives the collator: `destroy` of a component that holds something protected does
# nothing at all.

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

module "label" {
  source = "../modules/label"

  tenant      = var.tenant
  environment = var.environment
  stage       = var.stage
  region      = var.region
  name        = "identity"
  tags        = var.tags
}

locals {
  id          = module.label.id
  tags        = module.label.tags
  ec2         = "arn:${data.aws_partition.this.partition}:ec2:${var.region}"
  of_volume   = { "t0rn-agent:identity" = local.id }
  of_snapshot = { "t0rn-agent:identity-snapshot" = local.id }
}

# Keystore and node key. It is attached to one instance at a time: who holds it is the collator.
resource "aws_ebs_volume" "this" {
  #checkov:skip=CKV_AWS_189:With the account's default key unless kms_key_arn is given: one of one's own costs, and has to let Auto Scaling in.
  availability_zone    = var.availability_zone
  type                 = "gp3"
  size                 = var.size_gib
  encrypted            = true
  kms_key_id           = var.kms_key_arn
  multi_attach_enabled = false
  final_snapshot       = true

  tags = merge(local.tags, local.of_volume)

  lifecycle {
    # An identity that is lost has to be registered anew, and its stake is locked meanwhile.
    prevent_destroy = true
  }
}

resource "aws_iam_role" "snapshots" {
  name                 = "${local.id}-snapshots"
  description          = "Makes and deletes the snapshots of ${local.id}"
  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "dlm.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id } }
    }]
  })

  tags = merge(local.tags, { Name = "${local.id}-snapshots" })
}

resource "aws_iam_role_policy" "snapshots" {
  #checkov:skip=CKV_AWS_355:IAM knows no resource for looking at volumes and snapshots.
  name = "snapshots"
  role = aws_iam_role.snapshots.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "OfThisVolume"
        Effect   = "Allow"
        Action   = "ec2:CreateSnapshot"
        Resource = aws_ebs_volume.this.arn
      },
      {
        Sid       = "IntoSnapshotsOfThisStack"
        Effect    = "Allow"
        Action    = "ec2:CreateSnapshot"
        Resource  = "${local.ec2}::snapshot/*"
        Condition = { StringEquals = { for key, value in local.of_snapshot : "aws:RequestTag/${key}" => value } }
      },
      {
        Sid       = "TaggedAsTheyAreMade"
        Effect    = "Allow"
        Action    = "ec2:CreateTags"
        Resource  = "${local.ec2}::snapshot/*"
        Condition = { StringEquals = { "ec2:CreateAction" = "CreateSnapshot" } }
      },
      {
        Sid       = "DeletedWhenTooMany"
        Effect    = "Allow"
        Action    = "ec2:DeleteSnapshot"
        Resource  = "${local.ec2}::snapshot/*"
        Condition = { StringEquals = { for key, value in local.of_snapshot : "aws:ResourceTag/${key}" => value } }
      },
      {
        Sid      = "Look"
        Effect   = "Allow"
        Action   = ["ec2:DescribeVolumes", "ec2:DescribeSnapshots"]
        Resource = "*"
      },
    ]
  })
}

resource "aws_dlm_lifecycle_policy" "this" {
  description        = "Daily snapshots of ${local.id}"
  execution_role_arn = aws_iam_role.snapshots.arn
  state              = "ENABLED"

  policy_details {
    resource_types = ["VOLUME"]
    target_tags    = local.of_volume

    schedule {
      name        = "daily"
      copy_tags   = false
      tags_to_add = merge(local.tags, local.of_snapshot, { Name = "${local.id}-snapshot" })

      create_rule {
        interval      = 24
        interval_unit = "HOURS"
        times         = [var.snapshot_time]
      }

      retain_rule {
        count = var.snapshots_kept
      }
    }
  }

  tags = local.tags

  depends_on = [aws_iam_role_policy.snapshots]
}
