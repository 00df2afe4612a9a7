mock_provider "aws" {
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::111122223333:policy/policy" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com" }
  }
}

variables {
  tenant       = "t0rn"
  environment  = "ec1"
  stage        = "dev"
  region       = "eu-central-1"
  repository   = "t3rn/t0rn-agent"
  state_bucket = "t0rn-terraform-state-ec1-dev"
}

run "planning_and_applying_are_two_roles_with_two_ways_in" {
  command = apply

  assert {
    condition     = strcontains(module.plan.trust, "\"repo:t3rn/t0rn-agent:ref:refs/heads/main\"") && !strcontains(module.plan.trust, "environment:")
    error_message = module.plan.trust
  }

  assert {
    condition     = strcontains(module.apply.trust, "\"repo:t3rn/t0rn-agent:environment:t0rn-ec1-dev\"") && !strcontains(module.apply.trust, ":ref:")
    error_message = module.apply.trust
  }
}

run "a_pull_request_takes_no_role" {
  command = apply

  assert {
    condition     = !strcontains("${module.plan.trust}${module.apply.trust}", "pull_request")
    error_message = "a pull request's code would have credentials"
  }
}

run "whoever_plans_changes_nothing_but_the_lock" {
  command = apply

  assert {
    condition = alltrue(flatten([
      for statement in jsondecode(aws_iam_role_policy.plan.policy).Statement : [
        for action in flatten([statement.Action]) :
        can(regex("^[a-z0-9]+:(Get|List|Describe)", action)) || statement.Sid == "StateLock"
      ]
    ]))
    error_message = aws_iam_role_policy.plan.policy
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.plan.policy, "secretsmanager") && !strcontains(aws_iam_role_policy.plan.policy, "kms:Decrypt")
    error_message = "a plan reads no secret"
  }
}

run "no_role_may_do_everything" {
  command = apply

  assert {
    condition = alltrue(flatten([
      for policy in concat([aws_iam_role_policy.plan.policy, aws_iam_role_policy.apply.policy], [for policy in aws_iam_policy.apply : policy.policy]) : [
        for statement in jsondecode(policy).Statement : [
          for action in flatten([statement.Action]) : !can(regex("^(\\*|[a-z0-9]+:\\*)$", action))
        ]
      ]
    ]))
    error_message = "an action that is * or a whole service"
  }
}

run "whoever_applies_gives_itself_no_rights" {
  command = apply

  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_role_policy.apply.policy).Statement :
      statement.Effect == "Deny" && contains(flatten([statement.Action]), "iam:Put*") && contains(flatten([statement.Action]), "iam:Attach*") && contains(flatten([statement.Resource]), "arn:aws:iam::*:role/t0rn-ec1-dev-apply")
    ])
    error_message = "the role apply may change itself"
  }
}

# With the longest name that a stack may have, and everything that lengthens them.
run "the_policies_are_as_short_as_iam_wants_them" {
  command = apply

  variables {
    tenant                   = "t0rntest"
    environment              = "longenvi"
    stage                    = "longeststg"
    state_bucket             = "t0rntest-terraform-state-longenvi-longeststg"
    permissions_boundary_arn = "arn:aws:iam::111122223333:policy/boundary-of-everything-that-is-made-in-this-account"
    kms_key_arns             = ["arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-0000-0000-000000000000"]
  }

  assert {
    condition     = length(aws_iam_role_policy.apply.policy) <= 10240 && length(aws_iam_role_policy.plan.policy) <= 10240
    error_message = "a role takes 10,240 characters: ${length(aws_iam_role_policy.apply.policy)}"
  }

  assert {
    condition     = alltrue([for policy in aws_iam_policy.apply : length(policy.policy) <= 6144])
    error_message = "a policy takes 6,144 characters: ${join(", ", [for policy in aws_iam_policy.apply : length(policy.policy)])}"
  }
}

run "flow_logs_are_looked_at_by_both_and_delivered_and_emptied_by_whoever_applies" {
  command = apply

  assert {
    condition = alltrue([
      for policy in [aws_iam_role_policy.plan.policy, aws_iam_role_policy.apply.policy] :
      anytrue([for statement in jsondecode(policy).Statement : statement.Effect == "Allow" && contains(flatten([statement.Action]), "s3:ListBucket") && contains(flatten([statement.Resource]), "arn:aws:s3:::t0rn-ec1-dev-flow-logs-*")])
    ])
    error_message = "Terraform could not see whether the bucket is there"
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_policy.apply["network"].policy).Statement : [statement.Action, statement.Resource] if statement.Sid == "FlowLogsDelivery"] == [[["logs:CreateLogDelivery", "logs:DeleteLogDelivery"], "*"]]
    error_message = "EC2 would make no flow log"
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.apply.policy).Statement : statement.Resource if contains(flatten([statement.Action]), "s3:DeleteObjectVersion")] == [["arn:aws:s3:::t0rn-ec1-dev-flow-logs-*", "arn:aws:s3:::t0rn-ec1-dev-flow-logs-*/*"]]
    error_message = "flow_logs_force_destroy would have no effect, or reach further"
  }
}

# What is allowed by a name has a separator behind the stack's, or ends there.
run "no_name_reaches_a_stack_whose_name_begins_alike" {
  command = apply

  assert {
    condition = alltrue(flatten([
      for statement in concat(jsondecode(aws_iam_role_policy.apply.policy).Statement, flatten([for policy in aws_iam_policy.apply : jsondecode(policy.policy).Statement])) : [
        for resource in flatten([statement.Resource]) : can(regex("[:/]t0rn-ec1-dev($|[-/])", resource)) if strcontains(resource, "t0rn-ec1-dev")
      ]
    ]))
    error_message = join("", concat([aws_iam_role_policy.apply.policy], [for policy in aws_iam_policy.apply : policy.policy]))
  }

  assert {
    condition     = !strcontains(join("", concat([aws_iam_role_policy.apply.policy], [for policy in aws_iam_policy.apply : policy.policy])), "*t0rn-ec1-dev") && !strcontains(join("", concat([aws_iam_role_policy.apply.policy], [for policy in aws_iam_policy.apply : policy.policy])), "t0rn-ec1-dev*")
    error_message = join("", concat([aws_iam_role_policy.apply.policy], [for policy in aws_iam_policy.apply : policy.policy]))
  }
}

run "without_a_boundary_there_is_none_to_ask_for" {
  command = apply

  assert {
    condition     = !strcontains(aws_iam_role_policy.apply.policy, "iam:PermissionsBoundary\"") && !strcontains(aws_iam_role_policy.apply.policy, "iam:UpdateAssumeRolePolicy") && !strcontains(aws_iam_role_policy.apply.policy, "iam:CreatePolicyVersion")
    error_message = aws_iam_role_policy.apply.policy
  }
}

run "a_boundary_is_every_role_s_and_cannot_be_changed_by_whoever_applies" {
  command = apply

  variables {
    permissions_boundary_arn = "arn:aws:iam::111122223333:policy/boundary"
  }

  assert {
    condition     = module.plan.permissions_boundary_arn == var.permissions_boundary_arn && module.apply.permissions_boundary_arn == var.permissions_boundary_arn
    error_message = "a role is without its boundary"
  }

  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_role_policy.apply.policy).Statement :
      statement.Effect == "Deny" && statement.Resource == "*" && length(setsubtract(["iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy"], flatten([statement.Action]))) == 0 &&
      try(statement.Condition, {}) == { StringNotEquals = { "iam:PermissionsBoundary" = "arn:aws:iam::111122223333:policy/boundary" } }
    ])
    error_message = aws_iam_role_policy.apply.policy
  }

  assert {
    condition     = anytrue([for statement in jsondecode(aws_iam_role_policy.apply.policy).Statement : statement.Effect == "Deny" && contains(flatten([statement.Action]), "iam:Create*") && contains(flatten([statement.Resource]), "arn:aws:iam::111122223333:policy/boundary")])
    error_message = "the role apply could change its own boundary"
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.apply.policy, "iam:DeleteRolePermissionsBoundary") && length(aws_iam_role_policy.apply.policy) <= 10240
    error_message = "the boundary could be taken away, or the policy is too long: ${length(aws_iam_role_policy.apply.policy)}"
  }
}

run "another_partition_has_other_arns" {
  command = apply

  override_data {
    target = data.aws_partition.this
    values = { partition = "aws-cn" }
  }

  assert {
    condition     = !strcontains("${aws_iam_role_policy.plan.policy}${join("", concat([aws_iam_role_policy.apply.policy], [for policy in aws_iam_policy.apply : policy.policy]))}", "arn:aws:")
    error_message = join("", concat([aws_iam_role_policy.apply.policy], [for policy in aws_iam_policy.apply : policy.policy]))
  }

  # Where STS knows no claims but the subject.
  assert {
    condition     = !strcontains("${module.plan.trust}${module.apply.trust}", "job_workflow_ref")
    error_message = module.plan.trust
  }
}

run "two_stacks_have_two_pairs_of_roles" {
  command = apply

  variables {
    stage             = "staging"
    oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
  }

  assert {
    condition     = module.plan.name == "t0rn-ec1-staging-plan" && module.apply.name == "t0rn-ec1-staging-apply" && length(aws_iam_openid_connect_provider.github) == 0
    error_message = "they would collide"
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.apply.policy, "t0rn-ec1-dev")
    error_message = "one stack's role reaches the other"
  }
}

run "a_wildcard_repository_is_refused" {
  command         = plan
  expect_failures = [var.repository]

  variables {
    repository = "t3rn/*"
  }
}

run "a_wildcard_branch_is_refused" {
  command         = plan
  expect_failures = [var.branch]

  variables {
    branch = "*"
  }
}

run "a_bucket_that_is_none_is_refused" {
  command         = plan
  expect_failures = [var.state_bucket]

  variables {
    state_bucket = "State"
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

run "once_the_vpc_is_known_only_its_defaults_are_closed" {
  command = apply

  variables {
    vpc_id = "vpc-0123456789abcdef0"
  }

  assert {
    condition = {
      for statement in jsondecode(aws_iam_policy.apply["network"].policy).Statement : statement.Sid => try(statement.Condition.ArnLike, null)
      if try(statement.Condition.Null["aws:ResourceTag/Stack"], "") == "true"
      } == {
      for sid in ["TagDefaults", "EmptyDefaultAcl"] : sid => { "ec2:Vpc" = "arn:aws:ec2:eu-central-1:*:vpc/vpc-0123456789abcdef0" }
    }
    error_message = aws_iam_policy.apply["network"].policy
  }
}

run "associations_may_be_left_to_an_administrator" {
  command = apply

  variables {
    associations = false
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.apply.policy).Statement : [statement.Action, statement.Condition]
      if statement.Effect == "Allow" && anytrue([for resource in flatten([statement.Resource]) : strcontains(resource, ":association/")])
      ] == [[
        ["ssm:AddTagsToResource", "ssm:DeleteAssociation", "ssm:RemoveTagsFromResource"],
        { StringEquals = { "aws:ResourceTag/Stack" = "t0rn-ec1-dev" }, StringEqualsIfExists = { "aws:RequestTag/Stack" = "t0rn-ec1-dev" } },
    ]]
    error_message = aws_iam_role_policy.apply.policy
  }
}

run "a_vpc_that_is_none_is_refused" {
  command         = plan
  expect_failures = [var.vpc_id]

  variables {
    vpc_id = "vpc-*"
  }
}

run "refuses_a_key_of_another_region" {
  command = plan

  variables {
    kms_key_arns = ["arn:aws:kms:eu-west-1:111122223333:key/1234"]
  }

  expect_failures = [var.kms_key_arns]
}
