locals {
  logs_to_s3         = var.flow_logs == "s3" ? 1 : 0
  logs_to_cloudwatch = var.flow_logs == "cloudwatch" ? 1 : 0
  account_id         = data.aws_caller_identity.this.account_id
  partition          = data.aws_partition.this.partition
  # Buckets share one name space with the whole world; the account makes the name ours. At most 52 of 63 characters.
  bucket     = "${module.label.stack}-flow-logs-${local.account_id}"
  bucket_arn = "arn:${local.partition}:s3:::${local.bucket}"
}

resource "aws_s3_bucket" "flow_logs" {
  #checkov:skip=CKV_AWS_18:A log of who reads the logs needs a further bucket; CloudTrail's data events do the same for a whole account.
  #checkov:skip=CKV_AWS_21:Objects are written once, by the log delivery alone, and expire.
  #checkov:skip=CKV_AWS_144:Connections of the past are no data to be kept for another region.
  #checkov:skip=CKV_AWS_145:With Amazon's key unless kms_key_arn is given: a key of one's own costs, and has to let the log delivery in.
  #checkov:skip=CKV2_AWS_62:A new log file needs no notification.
  count = local.logs_to_s3

  bucket        = local.bucket
  force_destroy = var.flow_logs_force_destroy

  tags = merge(local.tags, { Name = local.bucket })
}

resource "aws_s3_bucket_public_access_block" "flow_logs" {
  count = local.logs_to_s3

  bucket                  = aws_s3_bucket.flow_logs[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "flow_logs" {
  count = local.logs_to_s3

  bucket = aws_s3_bucket.flow_logs[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "flow_logs" {
  count = local.logs_to_s3

  bucket = aws_s3_bucket.flow_logs[0].id

  rule {
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "flow_logs" {
  count = local.logs_to_s3

  bucket = aws_s3_bucket.flow_logs[0].id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.flow_logs_retention_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_policy" "flow_logs" {
  count = local.logs_to_s3

  bucket = aws_s3_bucket.flow_logs[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OnlyThroughTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "DeliveryLooksWhoseBucketItIs"
        Effect    = "Allow"
        Principal = { Service = "delivery.logs.amazonaws.com" }
        Action    = "s3:GetBucketAcl"
        Resource  = local.bucket_arn
        Condition = local.of_this_account
      },
      {
        Sid       = "DeliveryWrites"
        Effect    = "Allow"
        Principal = { Service = "delivery.logs.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/AWSLogs/*"
        Condition = merge(local.of_this_account, {
          StringEquals = { "aws:SourceAccount" = local.account_id, "s3:x-amz-acl" = "bucket-owner-full-control" }
        })
      },
    ]
  })

  # Two changes of one bucket's access at a time are refused.
  depends_on = [aws_s3_bucket_public_access_block.flow_logs]
}

locals {
  of_this_account = {
    StringEquals = { "aws:SourceAccount" = local.account_id }
    ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:logs:${var.region}:${local.account_id}:*" }
  }
}

resource "aws_flow_log" "s3" {
  count = local.logs_to_s3

  vpc_id                   = aws_vpc.this.id
  traffic_type             = "ALL"
  log_destination_type     = "s3"
  log_destination          = aws_s3_bucket.flow_logs[0].arn
  max_aggregation_interval = 600

  destination_options {
    file_format                = "parquet"
    hive_compatible_partitions = true
    per_hour_partition         = false
  }

  tags = merge(local.tags, { Name = "${local.id}-flow-log" })

  # Otherwise the delivery would give the bucket a policy of its own.
  depends_on = [aws_s3_bucket_policy.flow_logs]
}

resource "aws_cloudwatch_log_group" "flow_logs" {
  #checkov:skip=CKV_AWS_158:With CloudWatch's own key unless kms_key_arn is given: a key of one's own costs, and has to let CloudWatch in.
  #checkov:skip=CKV_AWS_338:How long is the operator's decision, and its cost.
  count = local.logs_to_cloudwatch

  name              = "/${module.label.stack}/flow-logs"
  retention_in_days = var.flow_logs_retention_days
  kms_key_id        = var.kms_key_arn

  tags = merge(local.tags, { Name = "${local.id}-flow-logs" })
}

resource "aws_iam_role" "flow_logs" {
  count = local.logs_to_cloudwatch

  name                 = "${local.id}-flow-logs"
  description          = "Writes the flow logs of ${local.id} to CloudWatch"
  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ec2:${var.region}:${local.account_id}:vpc-flow-log/*" }
      }
    }]
  })

  tags = merge(local.tags, { Name = "${local.id}-flow-logs" })
}

resource "aws_iam_role_policy" "flow_logs" {
  count = local.logs_to_cloudwatch

  name = "write"
  role = aws_iam_role.flow_logs[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
      Resource = "${aws_cloudwatch_log_group.flow_logs[0].arn}:*"
    }]
  })
}

resource "aws_flow_log" "cloudwatch" {
  count = local.logs_to_cloudwatch

  vpc_id                   = aws_vpc.this.id
  traffic_type             = "ALL"
  log_destination_type     = "cloud-watch-logs"
  log_destination          = aws_cloudwatch_log_group.flow_logs[0].arn
  iam_role_arn             = aws_iam_role.flow_logs[0].arn
  max_aggregation_interval = 600

  tags = merge(local.tags, { Name = "${local.id}-flow-log" })
}
