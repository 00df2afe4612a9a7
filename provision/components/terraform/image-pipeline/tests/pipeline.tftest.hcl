mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  tenant            = "t0rn"
  environment       = "ec1"
  stage             = "dev"
  region            = "eu-central-1"
  repository        = "t3rn/t0rn-agent"
  oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
  image_parameter   = "/t0rn-agent/t0rn-ec1-dev/ami"
  first_image_id    = "ami-0123456789abcdef0"
}

run "the_parameter_is_an_image_s_and_later_the_pipeline_s" {
  command = plan

  assert {
    condition     = aws_ssm_parameter.image[0].data_type == "aws:ec2:image" && aws_ssm_parameter.image[0].type == "String" && aws_ssm_parameter.image[0].name == "/t0rn-agent/t0rn-ec1-dev/ami"
    error_message = "EC2 would not read it as an image"
  }
}

run "without_a_first_image_there_is_no_parameter" {
  command = plan

  variables {
    first_image_id = null
  }

  assert {
    condition     = length(aws_ssm_parameter.image) == 0
    error_message = "a parameter with nothing to name"
  }
}

run "what_is_changed_or_removed_bears_the_mark" {
  command = apply

  assert {
    condition = alltrue(flatten([
      for statement in concat(jsondecode(aws_iam_role_policy.bake.policy).Statement, jsondecode(aws_iam_role_policy.publish.policy).Statement) : [
        for action in flatten([statement.Action]) :
        !can(regex("^ec2:(Terminate|Delete|Deregister|Stop|Modify)", action)) || try(jsonencode(statement.Condition), "") == jsonencode({ StringEquals = { "aws:ResourceTag/t0rn-agent:name" = "t0rn-ec1-dev" } }) || statement.Effect == "Deny"
      ]
    ]))
    error_message = aws_iam_role_policy.bake.policy
  }
}

run "nothing_is_made_of_an_identity_s_snapshot" {
  command = apply

  assert {
    condition = alltrue(flatten([
      for policy in [aws_iam_role_policy.bake.policy, aws_iam_role_policy.publish.policy] : [
        for key in ["identity-snapshot", "identity"] : anytrue([
          for statement in jsondecode(policy).Statement :
          statement.Effect == "Deny" && contains(flatten([statement.Resource]), "arn:aws:ec2:*:*:snapshot/*") &&
          length(setsubtract(["ec2:CopySnapshot", "ec2:CreateVolume", "ec2:ModifySnapshotAttribute", "ec2:RegisterImage", "ec2:RunInstances"], flatten([statement.Action]))) == 0 &&
          try(statement.Condition, {}) == { Null = { "aws:ResourceTag/t0rn-agent:${key}" = "false" } }
        ])
      ]
    ]))
    error_message = "the role that bakes could read the collator's keys"
  }
}

run "another_image_is_neither_marked_nor_reached" {
  command = apply

  assert {
    condition = alltrue([
      for policy in [aws_iam_role_policy.bake.policy, aws_iam_role_policy.publish.policy] : anytrue([
        for statement in jsondecode(policy).Statement : statement.Effect == "Deny" && jsonencode(statement.Action) == jsonencode("ec2:CreateTags") &&
        try(statement.Condition.StringNotEquals, {}) == { "aws:ResourceTag/t0rn-agent:name" = "t0rn-ec1-dev" }
      ])
    ])
    error_message = "another stack's image could be given this one's mark"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.bake.policy).Statement : try(statement.Condition.StringEquals, {}) == { "ssm:resourceTag/t0rn-agent:name" = "t0rn-ec1-dev" }
      if contains(flatten([statement.Resource]), "arn:aws:ec2:eu-central-1:*:instance/*") && length([for action in flatten([statement.Action]) : action if startswith(action, "ssm:")]) > 0
    ])
    error_message = "an instance that is no builder is reached"
  }
}

run "only_ec2_takes_the_builder_s_role" {
  command = plan

  assert {
    condition     = [for statement in jsondecode(aws_iam_role.builder.assume_role_policy).Statement : [statement.Effect, statement.Principal]] == [["Allow", { Service = "ec2.amazonaws.com" }]]
    error_message = aws_iam_role.builder.assume_role_policy
  }
}

run "a_boundary_is_every_role_s" {
  command = apply

  variables {
    permissions_boundary_arn = "arn:aws:iam::111122223333:policy/boundary"
  }

  assert {
    condition     = alltrue([for boundary in [module.bake.permissions_boundary_arn, module.publish.permissions_boundary_arn, aws_iam_role.builder.permissions_boundary] : boundary == var.permissions_boundary_arn])
    error_message = "a role is without its boundary"
  }
}

run "only_looking_is_without_a_named_resource" {
  command = apply

  assert {
    condition = alltrue([
      for policy in [aws_iam_role_policy.bake.policy, aws_iam_role_policy.publish.policy] :
      join(" ", [for statement in jsondecode(policy).Statement : statement.Sid if contains(flatten([statement.Resource]), "*")]) == "Look"
    ])
    error_message = aws_iam_role_policy.bake.policy
  }

  assert {
    condition     = length(aws_iam_role_policy.bake.policy) <= 10240
    error_message = "a role takes 10,240 characters"
  }
}

run "whoever_removes_images_sees_who_uses_them" {
  command = apply

  assert {
    condition = length(setsubtract([
      "autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeLaunchConfigurations", "ec2:DescribeImageAttribute", "ec2:DescribeImages", "ec2:DescribeInstances",
      "ec2:DescribeLaunchTemplateVersions", "ec2:DescribeLaunchTemplates", "ec2:DescribeSnapshotAttribute", "ec2:DescribeSnapshots",
    ], flatten([for statement in jsondecode(aws_iam_role_policy.publish.policy).Statement : statement.Action if statement.Resource == "*"]))) == 0
    error_message = "packer/prune asks all of these before it removes an image"
  }

  # A launch template may name the parameter, and EC2 resolves it with the caller's rights.
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_role_policy.publish.policy).Statement :
      contains(flatten([statement.Action]), "ssm:GetParameters") && statement.Resource == "arn:aws:ssm:*:*:parameter/t0rn-agent/t0rn-ec1-dev/ami"
    ])
    error_message = aws_iam_role_policy.publish.policy
  }
}

run "only_this_stack_s_parameter_is_written_and_not_by_who_bakes" {
  command = apply

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.publish.policy).Statement : statement.Resource if contains(flatten([statement.Action]), "ssm:PutParameter")
    ][0] == "arn:aws:ssm:*:*:parameter/t0rn-agent/t0rn-ec1-dev/ami"
    error_message = aws_iam_role_policy.publish.policy
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.bake.policy, "ssm:PutParameter")
    error_message = aws_iam_role_policy.bake.policy
  }
}

run "a_pull_request_bakes_and_publishes_nothing" {
  command = apply

  assert {
    condition     = !strcontains(module.bake.trust, "pull_request") && strcontains(module.bake.trust, "\"repo:t3rn/t0rn-agent:ref:refs/heads/main\"")
    error_message = module.bake.trust
  }

  assert {
    condition     = !strcontains(module.publish.trust, ":ref:") && strcontains(module.publish.trust, "\"repo:t3rn/t0rn-agent:environment:images\"")
    error_message = module.publish.trust
  }
}

run "names_are_the_stack_s" {
  command = plan

  assert {
    condition     = module.bake.name == "t0rn-ec1-dev-bake" && aws_iam_instance_profile.builder.name == "t0rn-ec1-dev-image-builder"
    error_message = "names"
  }
}

run "a_builder_reads_no_parameter_and_no_document_of_the_account" {
  command = plan

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.builder.policy).Statement : statement.Effect] == ["Deny", "Deny"]
    error_message = aws_iam_role_policy.builder.policy
  }
}

run "a_named_key_is_used_through_ebs_alone" {
  command = apply

  variables {
    kms_key_arns = ["arn:aws:kms:eu-central-1:111122223333:key/1"]
  }

  assert {
    condition = alltrue([
      for policy in [aws_iam_role_policy.bake.policy, aws_iam_role_policy.publish.policy] : [
        for statement in jsondecode(policy).Statement : statement.Condition.StringLike["kms:ViaService"] if startswith(flatten([statement.Action])[0], "kms:")
      ] == ["ec2.*.amazonaws.com", "ec2.*.amazonaws.com"]
    ])
    error_message = aws_iam_role_policy.publish.policy
  }
}

run "without_a_key_there_is_none_to_use" {
  command = apply

  assert {
    condition     = !strcontains("${aws_iam_role_policy.bake.policy}${aws_iam_role_policy.publish.policy}", "kms:")
    error_message = "a right without a resource"
  }
}

run "a_key_by_its_alias_is_refused" {
  command         = plan
  expect_failures = [var.kms_key_arns]

  variables {
    kms_key_arns = ["arn:aws:kms:eu-central-1:111122223333:alias/images"]
  }
}

run "an_image_that_is_none_is_refused" {
  command         = plan
  expect_failures = [var.first_image_id]

  variables {
    first_image_id = "debian-12"
  }
}

run "a_relative_parameter_is_refused" {
  command         = plan
  expect_failures = [var.image_parameter]

  variables {
    image_parameter = "ami"
  }
}

run "an_identity_provider_of_another_partition_is_refused" {
  command         = plan
  expect_failures = [var.oidc_provider_arn]

  variables {
    oidc_provider_arn = "arn:aws-cn:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
  }
}

run "another_identity_provider_is_refused" {
  command         = plan
  expect_failures = [var.oidc_provider_arn]

  variables {
    oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/example.org"
  }
}

run "a_wildcard_repository_is_refused" {
  command         = plan
  expect_failures = [var.repository]

  variables {
    repository = "*/*"
  }
}

run "a_wildcard_environment_is_refused" {
  command         = plan
  expect_failures = [var.publish_environment]

  variables {
    publish_environment = "*"
  }
}

run "takes_a_key_of_another_region" {
  command = plan

  variables {
    kms_key_arns = ["arn:aws:kms:eu-west-1:111122223333:key/1234"]
  }
}

run "refuses_a_key_of_another_partition" {
  command = plan

  variables {
    kms_key_arns = ["arn:aws-cn:kms:cn-north-1:111122223333:key/1234"]
  }

  expect_failures = [var.kms_key_arns]
}
