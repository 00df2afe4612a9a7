mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  tenant             = "t0rn"
  environment        = "ec1"
  stage              = "dev"
  region             = "eu-central-1"
  tags               = { CostCenter = "collators" }
  vpc_id             = "vpc-0123456789abcdef0"
  private_subnet_ids = { eu-central-1a = "subnet-0123456789abcdef0", eu-central-1b = "subnet-0fedcba9876543210" }
  availability_zone  = "eu-central-1b"
  identity_volume_id = "vol-0123456789abcdef0"
  ami_name           = "t0rn-collator-*"
  collator_image     = "3h4xx/t0rn-collator:v1.2.0-rc.4"
}

run "no_action_has_a_wildcard" {
  command = plan

  assert {
    condition     = !anytrue([for action in flatten([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Action]) : strcontains(action, "*")])
    error_message = "got ${aws_iam_role_policy.this.policy}"
  }
}

run "it_may_do_this_and_nothing_else" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1234"
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Action])) == toset([
      "autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat", "cloudwatch:PutMetricData", "ec2:AttachVolume",
      "ec2:DescribeTags", "ec2:DescribeVolumes", "ec2:DetachVolume", "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey",
      "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents",
    ])
    error_message = "got ${aws_iam_role_policy.this.policy}"
  }

  assert {
    condition     = try(length(aws_iam_role.this.inline_policy), 0) == 0
    error_message = "a second policy stands in the role itself"
  }
}

run "only_looking_and_figures_are_allowed_everywhere" {
  command = plan

  assert {
    condition     = flatten([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Action if contains(statement.Resource, "*")]) == ["ec2:DescribeVolumes", "ec2:DescribeTags", "cloudwatch:PutMetricData"]
    error_message = "got ${aws_iam_role_policy.this.policy}"
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : length(statement.Condition) > 0 if contains(statement.Resource, "*")])
    error_message = "everywhere, and without a condition: ${aws_iam_role_policy.this.policy}"
  }
}

run "the_log_group_is_written_to_and_never_made" {
  command = plan

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : [statement.Action, statement.Resource] if anytrue([for action in statement.Action : startswith(action, "logs:")])] == [[["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"], ["arn:aws:logs:eu-central-1:111122223333:log-group:/t0rn-agent/t0rn-ec1-dev/metrics:*"]]]
    error_message = "got ${aws_iam_role_policy.this.policy}"
  }
}

run "one_volume_to_instances_of_this_stack" {
  command = plan

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement if contains(statement.Action, "ec2:AttachVolume")] == [
      {
        Sid      = "IdentityVolume"
        Effect   = "Allow"
        Action   = ["ec2:AttachVolume", "ec2:DetachVolume"]
        Resource = ["arn:aws:ec2:eu-central-1:111122223333:volume/vol-0123456789abcdef0"]
      },
      {
        Sid       = "ToInstancesOfThisStack"
        Effect    = "Allow"
        Action    = ["ec2:AttachVolume", "ec2:DetachVolume"]
        Resource  = ["arn:aws:ec2:eu-central-1:111122223333:instance/*"]
        Condition = { StringEquals = { "aws:ResourceTag/Stack" = "t0rn-ec1-dev", "aws:ResourceTag/Component" = "collator" } }
      },
    ]
    error_message = "got ${aws_iam_role_policy.this.policy}"
  }

  assert {
    condition     = { for tag in aws_autoscaling_group.this.tag : tag.key => tag.value }["Component"] == "collator"
    error_message = "the instance has not the tag that its role asks for"
  }
}

run "the_hooks_of_this_group_alone" {
  command = plan

  assert {
    condition     = flatten([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Resource if contains(statement.Action, "autoscaling:CompleteLifecycleAction")]) == ["arn:aws:autoscaling:eu-central-1:111122223333:autoScalingGroup:*:autoScalingGroupName/${aws_autoscaling_group.this.name}"]
    error_message = "got ${aws_iam_role_policy.this.policy}"
  }
}

run "one_managed_policy_and_no_other" {
  command = plan

  assert {
    condition     = toset([for attachment in aws_iam_role_policy_attachment.this : attachment.policy_arn]) == toset(["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"])
    error_message = "got ${jsonencode([for attachment in aws_iam_role_policy_attachment.this : attachment.policy_arn])}"
  }
}

run "only_ec2_assumes_the_role" {
  command = plan

  assert {
    condition     = [for statement in jsondecode(aws_iam_role.this.assume_role_policy).Statement : [statement.Effect, statement.Principal, statement.Action]] == [["Allow", { Service = "ec2.amazonaws.com" }, "sts:AssumeRole"]]
    error_message = "got ${aws_iam_role.this.assume_role_policy}"
  }
}

run "a_boundary_bounds_it" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::111122223333:policy/boundary"
  }

  assert {
    condition     = aws_iam_role.this.permissions_boundary == var.permissions_boundary_arn
    error_message = "the role is without its boundary"
  }
}

run "the_identity_volume_s_key_may_be_used_too" {
  command = plan

  variables {
    kms_key_arn          = "arn:aws:kms:eu-central-1:111122223333:key/1234"
    identity_kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/5678"
  }

  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Resource if contains(statement.Action, "kms:CreateGrant")]) == [var.kms_key_arn, var.identity_kms_key_arn]
    error_message = "got ${aws_iam_role_policy.this.policy}"
  }
}

run "without_a_key_no_right_to_one" {
  command = plan

  variables {
    identity_kms_key_arn = ""
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.this.policy, "kms:")
    error_message = "got ${aws_iam_role_policy.this.policy}"
  }
}

run "a_key_of_ones_own_may_be_used_by_ebs_alone" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1234"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : [statement.Resource, statement.Condition] if contains(statement.Action, "kms:CreateGrant")] == [
      [["arn:aws:kms:eu-central-1:111122223333:key/1234"], { StringEquals = { "kms:ViaService" = "ec2.eu-central-1.amazonaws.com" } }]
    ]
    error_message = "got ${aws_iam_role_policy.this.policy}"
  }
}
