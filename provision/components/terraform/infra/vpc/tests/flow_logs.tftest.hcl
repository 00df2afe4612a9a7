mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  tenant             = "t0rn"
  audit_trail_arn    = "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit"
  environment        = "ec1"
  stage              = "dev"
  region             = "eu-central-1"
  availability_zones = ["eu-central-1a"]
}

run "go_to_s3_as_parquet_and_expire" {
  command = plan

  assert {
    condition     = aws_flow_log.s3[0].traffic_type == "ALL" && one(aws_flow_log.s3[0].destination_options).file_format == "parquet"
    error_message = "flow logs are not everything, or not parquet"
  }

  assert {
    condition     = one(one(aws_s3_bucket_lifecycle_configuration.flow_logs[0].rule).expiration).days == 90 && one(aws_s3_bucket_lifecycle_configuration.flow_logs[0].rule).status == "Enabled"
    error_message = "flow logs do not expire"
  }

  assert {
    condition     = aws_s3_bucket.flow_logs[0].bucket == "t0rn-ec1-dev-flow-logs-111122223333" && aws_s3_bucket.flow_logs[0].force_destroy == false
    error_message = "got ${aws_s3_bucket.flow_logs[0].bucket}"
  }
}

run "are_of_the_whole_network_and_of_whatever_was_let_through_or_not" {
  command = apply

  assert {
    condition     = aws_flow_log.s3[0].vpc_id == aws_vpc.this.id && aws_flow_log.s3[0].traffic_type == "ALL" && aws_flow_log.s3[0].log_destination == aws_s3_bucket.flow_logs[0].arn
    error_message = jsonencode(aws_flow_log.s3[0])
  }
}

run "are_the_same_in_cloudwatch" {
  command = apply

  variables {
    flow_logs = "cloudwatch"
    tags      = { CostCenter = "collators" }
  }

  assert {
    condition     = aws_flow_log.cloudwatch[0].vpc_id == aws_vpc.this.id && aws_flow_log.cloudwatch[0].traffic_type == "ALL" && aws_flow_log.cloudwatch[0].log_destination == aws_cloudwatch_log_group.flow_logs[0].arn
    error_message = jsonencode(aws_flow_log.cloudwatch[0])
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role.flow_logs[0].assume_role_policy).Statement : [statement.Effect, statement.Principal, statement.Action]] == [["Allow", { Service = "vpc-flow-logs.amazonaws.com" }, "sts:AssumeRole"]]
    error_message = aws_iam_role.flow_logs[0].assume_role_policy
  }

  assert {
    condition     = alltrue([for tags in [aws_flow_log.cloudwatch[0].tags, aws_cloudwatch_log_group.flow_logs[0].tags, aws_iam_role.flow_logs[0].tags] : tags["Stack"] == "t0rn-ec1-dev" && tags["CostCenter"] == "collators"])
    error_message = "something of the flow logs is without the stack's name or a cost centre"
  }
}

run "the_bucket_is_encrypted_and_not_public" {
  command = plan

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.flow_logs[0].rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "the bucket is not encrypted"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.flow_logs[0].block_public_acls, aws_s3_bucket_public_access_block.flow_logs[0].block_public_policy,
      aws_s3_bucket_public_access_block.flow_logs[0].ignore_public_acls, aws_s3_bucket_public_access_block.flow_logs[0].restrict_public_buckets,
    ])
    error_message = "the bucket may become public"
  }
}

run "the_bucket_is_reached_through_tls_alone" {
  command = apply

  assert {
    condition = [
      for statement in jsondecode(aws_s3_bucket_policy.flow_logs[0].policy).Statement :
      [statement.Principal, statement.Action, statement.Resource, statement.Condition] if statement.Effect == "Deny"
    ] == [["*", "s3:*", ["arn:aws:s3:::${aws_s3_bucket.flow_logs[0].bucket}", "arn:aws:s3:::${aws_s3_bucket.flow_logs[0].bucket}/*"], { Bool = { "aws:SecureTransport" = "false" } }]]
    error_message = "the bucket's policy lets plain HTTP in: ${aws_s3_bucket_policy.flow_logs[0].policy}"
  }

  assert {
    condition     = aws_s3_bucket_policy.flow_logs[0].bucket == aws_s3_bucket.flow_logs[0].id
    error_message = "the policy is another bucket's"
  }
}

run "nobody_but_the_log_delivery_of_this_account_is_let_in" {
  command = plan

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_s3_bucket_policy.flow_logs[0].policy).Statement :
      statement.Effect == "Deny" || (try(statement.Principal.Service, "") == "delivery.logs.amazonaws.com" && try(statement.Condition.StringEquals["aws:SourceAccount"], "") == "111122223333")
    ])
    error_message = "got ${aws_s3_bucket_policy.flow_logs[0].policy}"
  }
}

run "a_key_of_ones_own_is_used" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1234"
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.flow_logs[0].rule).apply_server_side_encryption_by_default).kms_master_key_id == var.kms_key_arn
    error_message = "the bucket is not encrypted with the key"
  }
}

run "go_to_cloudwatch_with_a_retention" {
  command = plan

  variables {
    flow_logs                = "cloudwatch"
    flow_logs_retention_days = 30
    permissions_boundary_arn = "arn:aws:iam::111122223333:policy/boundary"
  }

  assert {
    condition     = aws_cloudwatch_log_group.flow_logs[0].retention_in_days == 30 && length(aws_s3_bucket.flow_logs) == 0 && length(aws_flow_log.cloudwatch) == 1
    error_message = "flow logs do not go to CloudWatch, or for ever"
  }

  assert {
    condition     = aws_iam_role.flow_logs[0].permissions_boundary == var.permissions_boundary_arn
    error_message = "the role is without its boundary"
  }

  assert {
    condition     = jsondecode(aws_iam_role.flow_logs[0].assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "111122223333"
    error_message = "another account's flow logs may assume the role"
  }
}

run "its_role_writes_to_its_own_group_alone" {
  command = apply

  variables {
    flow_logs = "cloudwatch"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.flow_logs[0].policy).Statement :
      statement.Resource == "${aws_cloudwatch_log_group.flow_logs[0].arn}:*" && !anytrue([for action in statement.Action : strcontains(action, "*")])
    ])
    error_message = "got ${aws_iam_role_policy.flow_logs[0].policy}"
  }
}

run "can_be_turned_off" {
  command = plan

  variables {
    flow_logs = "none"
  }

  assert {
    condition     = length(aws_flow_log.s3) + length(aws_flow_log.cloudwatch) + length(aws_s3_bucket.flow_logs) + length(aws_cloudwatch_log_group.flow_logs) == 0
    error_message = "something of the flow logs is left"
  }
}
