mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
}

variables {
  tenant                 = "t0rn"
  environment            = "ec1"
  stage                  = "dev"
  region                 = "eu-central-1"
  autoscaling_group_name = "t0rn-ec1-dev-collator"
}

run "each_document_is_named_after_its_stack" {
  command = apply

  assert {
    condition     = output.documents == { for name in ["check", "incidents", "logs", "pause", "restart", "resume", "status", "update", "update-wait"] : name => "t0rn-ec1-dev-${name}" }
    error_message = "documents: ${jsonencode(output.documents)}"
  }
}

run "another_stack_shares_no_name" {
  command = plan

  variables {
    stage = "staging"
  }

  assert {
    condition     = alltrue([for document in aws_ssm_document.this : startswith(document.name, "t0rn-ec1-staging-")]) && aws_iam_policy.operator.name == "t0rn-ec1-staging-operator"
    error_message = "a name of another stack's is used"
  }
}

run "no_parameter_becomes_text_of_a_script" {
  command = apply

  assert {
    condition = alltrue(flatten([
      for content in values(output.contents) : [
        for parameter in values(jsondecode(content).parameters) : parameter.interpolationType == "ENV_VAR"
      ]
    ]))
    error_message = "a parameter without interpolationType ENV_VAR"
  }

  assert {
    condition     = alltrue([for content in values(output.contents) : !strcontains(content, "{{")])
    error_message = "a script with {{ is rewritten by the SSM agent"
  }
}

run "each_parameter_says_what_it_accepts" {
  command = apply

  assert {
    condition = alltrue(flatten([
      for content in values(output.contents) : [
        for parameter in values(jsondecode(content).parameters) :
        length(try(parameter.allowedValues, [])) > 0 || can(regex("^\\^.*\\$$", parameter.allowedPattern))
      ]
    ]))
    error_message = "a parameter with neither allowedValues nor an anchored allowedPattern"
  }
}

run "documents_are_commands_of_schema_2_2_with_a_time_limit" {
  command = apply

  assert {
    condition = alltrue([
      for content in [for text in values(output.contents) : jsondecode(text)] :
      content.schemaVersion == "2.2" && content.mainSteps[0].action == "aws:runShellScript" &&
      tonumber(content.mainSteps[0].inputs.timeoutSeconds) <= (content.mainSteps[0].name == "update-wait" ? 7200 : 120) && content.mainSteps[0].inputs.runCommand[0] == "#!/bin/bash"
    ])
    error_message = "a document of another shape"
  }
}

run "an_operator_may_send_these_documents_to_this_stack_and_nothing_else" {
  command = apply

  assert {
    condition = length([
      for statement in jsondecode(aws_iam_policy.operator.policy).Statement : statement
      if contains(flatten([statement.Action]), "ssm:SendCommand") && contains(flatten([statement.Resource]), "*")
    ]) == 0
    error_message = "SendCommand without a named resource"
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_policy.operator.policy).Statement : [statement.Effect, statement.Resource, try(statement.Condition, null)]
      if contains(flatten([statement.Action]), "ssm:SendCommand") && !anytrue([for resource in flatten([statement.Resource]) : contains([for document in aws_ssm_document.this : "arn:aws:ssm:eu-central-1:111122223333:document/${document.name}"], resource)])
    ] == [["Allow", "arn:aws:ec2:eu-central-1:*:instance/*", { StringEquals = { "ssm:resourceTag/aws:autoscaling:groupName" = "t0rn-ec1-dev-collator" } }]]
    error_message = "instances of other groups may be commanded, or by other documents"
  }

  assert {
    condition     = toset(flatten([for statement in jsondecode(aws_iam_policy.operator.policy).Statement : statement.Action])) == toset(["autoscaling:DescribeAutoScalingGroups", "ssm:CancelCommand", "ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation", "ssm:ListCommandInvocations", "ssm:ListCommands", "ssm:SendCommand"])
    error_message = "an operator may do more than ask: ${aws_iam_policy.operator.policy}"
  }
}

run "a_short_region_is_refused" {
  command         = plan
  expect_failures = [var.region]

  variables {
    region = "ec1"
  }
}

run "a_role_that_is_no_role_is_refused" {
  command         = plan
  expect_failures = [var.role_arn]

  variables {
    role_arn = "arn:aws:iam::111122223333:user/somebody"
  }
}

run "a_group_of_no_name_is_refused" {
  command         = plan
  expect_failures = [var.autoscaling_group_name]

  variables {
    autoscaling_group_name = ""
  }
}

run "refuses_a_role_of_another_partition" {
  command = plan

  variables {
    role_arn = "arn:aws-cn:iam::111122223333:role/t0rn-apply"
  }

  expect_failures = [var.role_arn]
}
