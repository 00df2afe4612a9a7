mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:111122223333:t0rn-agent-fleet-alarms" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/t0rn-agent-fleet-ec1-rolling-update" }
  }

  mock_resource "aws_ssm_document" {
    defaults = { arn = "arn:aws:ssm:eu-central-1:111122223333:document/t0rn-agent-document" }
  }

  mock_resource "aws_oam_sink" {
    defaults = { arn = "arn:aws:oam:eu-central-1:111122223333:sink/0123" }
  }
}

variables {
  tenant       = "t0rn"
  environment  = "ec1"
  stage        = "dev"
  region       = "eu-central-1"
  alarm_emails = ["ops@t0rn.io"]
}

run "documents_are_once_for_the_account" {
  command = apply

  assert {
    condition     = output.documents == { for name in ["check", "incidents", "logs", "pause", "restart", "resume", "status", "update", "update-wait"] : name => "t0rn-agent-${name}" }
    error_message = "documents: ${jsonencode(output.documents)}"
  }
}

run "rolling_update_is_one_at_a_time_and_stops_at_the_first_error" {
  command = apply

  assert {
    condition = [for step in jsondecode(aws_ssm_document.rolling_update.content).mainSteps : [step.name, step.action, step.inputs.DocumentName, step.inputs.MaxConcurrency, step.inputs.MaxErrors, step.onFailure]] == [
      ["before", "aws:runCommand", "t0rn-agent-status", "100%", "0", "Abort"],
      ["update", "aws:runCommand", "t0rn-agent-update-wait", "1", "0", "Abort"],
      ["after", "aws:runCommand", "t0rn-agent-status", "100%", "0", "Abort"],
    ]
    error_message = aws_ssm_document.rolling_update.content
  }

  assert {
    condition     = aws_ssm_document.rolling_update.document_type == "Automation" && jsondecode(aws_ssm_document.rolling_update.content).schemaVersion == "0.3"
    error_message = "it is no automation"
  }
}

run "rolling_update_reaches_the_named_collators_of_the_tenant_only" {
  command = apply

  assert {
    condition = alltrue([
      for step in jsondecode(aws_ssm_document.rolling_update.content).mainSteps :
      jsonencode(step.inputs.Targets) == jsonencode([{ Key = "tag:Component", Values = ["collator"] }, { Key = "tag:Tenant", Values = ["t0rn"] }, { Key = "{{ TagKey }}", Values = "{{ TagValues }}" }])
    ])
    error_message = aws_ssm_document.rolling_update.content
  }

  assert {
    condition     = !can(jsondecode(aws_ssm_document.rolling_update.content).parameters.TagValues.default)
    error_message = "all collators are updated where none is named"
  }
}

run "every_parameter_of_a_step_is_one_of_its_document" {
  command = apply

  assert {
    condition = alltrue([
      for step in jsondecode(aws_ssm_document.rolling_update.content).mainSteps :
      keys(step.inputs.Parameters) == keys(jsondecode(aws_ssm_document.this[trimprefix(step.inputs.DocumentName, "t0rn-agent-")].content).parameters)
    ])
    error_message = aws_ssm_document.rolling_update.content
  }

  assert {
    condition = (
      jsondecode(aws_ssm_document.rolling_update.content).parameters.Image.allowedPattern ==
      jsondecode(aws_ssm_document.this["update-wait"].content).parameters.image.allowedPattern
    )
    error_message = "the automation takes another image than the document"
  }
}

run "only_an_automation_of_this_account_takes_its_role" {
  command = apply

  assert {
    condition = jsondecode(aws_iam_role.rolling_update.assume_role_policy).Statement == [{
      Effect    = "Allow"
      Principal = { Service = "ssm.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = "111122223333" }
        ArnLike      = { "aws:SourceArn" = "arn:aws:ssm:eu-central-1:111122223333:automation-execution/*" }
      }
    }]
    error_message = aws_iam_role.rolling_update.assume_role_policy
  }
}

run "commands_go_to_collators_of_the_tenant_only" {
  command = apply

  assert {
    condition = alltrue([
      for policy in [aws_iam_policy.operator.policy, aws_iam_role_policy.rolling_update.policy] : [
        for statement in jsondecode(policy).Statement : [statement.Resource, statement.Condition] if statement.Sid == "Collators"
        ] == [[
          "arn:aws:ec2:eu-central-1:111122223333:instance/*",
          { StringEquals = { "ssm:resourceTag/Component" = "collator", "ssm:resourceTag/Tenant" = "t0rn" } },
      ]]
    ])
    error_message = aws_iam_policy.operator.policy
  }

  assert {
    condition = alltrue(flatten([
      for policy in [aws_iam_policy.operator.policy, aws_iam_role_policy.rolling_update.policy] : [
        for statement in jsondecode(policy).Statement : !contains(flatten([statement.Resource]), "*") if contains(flatten([statement.Action]), "ssm:SendCommand")
      ]
    ]))
    error_message = "SendCommand without a named resource"
  }
}

run "an_operator_may_do_this_and_nothing_else" {
  command = apply

  assert {
    condition = sort(flatten([for statement in jsondecode(aws_iam_policy.operator.policy).Statement : statement.Action])) == tolist([
      "autoscaling:DescribeAutoScalingGroups", "iam:PassRole", "ssm:CancelCommand", "ssm:DescribeAutomationExecutions",
      "ssm:DescribeAutomationStepExecutions", "ssm:DescribeInstanceInformation", "ssm:GetAutomationExecution",
      "ssm:GetCommandInvocation", "ssm:ListCommandInvocations", "ssm:ListCommands", "ssm:SendCommand", "ssm:SendCommand",
      "ssm:StartAutomationExecution", "ssm:StopAutomationExecution",
    ])
    error_message = aws_iam_policy.operator.policy
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_policy.operator.policy).Statement : [statement.Resource, statement.Condition] if statement.Action == "iam:PassRole"] == [
      ["arn:aws:iam::111122223333:role/t0rn-agent-fleet-ec1-rolling-update", { StringEquals = { "iam:PassedToService" = "ssm.amazonaws.com" } }]
    ]
    error_message = aws_iam_policy.operator.policy
  }

  # Systems Manager asks for the document and the execution; it has asked for an automation-definition.
  assert {
    condition = [for statement in jsondecode(aws_iam_policy.operator.policy).Statement : statement.Resource if statement.Action == "ssm:StartAutomationExecution"] == [[
      "arn:aws:ssm:eu-central-1:111122223333:automation-definition/t0rn-agent-rolling-update:*",
      "arn:aws:ssm:eu-central-1:111122223333:automation-execution/*",
      "arn:aws:ssm:eu-central-1:111122223333:document/t0rn-agent-rolling-update",
    ]]
    error_message = aws_iam_policy.operator.policy
  }
}

run "a_boundary_is_the_roles" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::111122223333:policy/boundary"
  }

  assert {
    condition     = aws_iam_role.rolling_update.permissions_boundary == "arn:aws:iam::111122223333:policy/boundary"
    error_message = "a role without the boundary"
  }
}
