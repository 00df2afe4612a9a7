mock_provider "aws" {
  mock_resource "aws_ssm_document" {
    defaults = { latest_version = "1" }
  }
  mock_data "aws_security_group" {
    defaults = { id = "sg-0123456789abcdef0" }
  }
}

variables {
  stack = "t0rn-ec1-dev"
}

run "writes_what_the_example_says_to_the_workspace" {
  command = apply

  variables {
    workspace_arn = "arn:aws:aps:eu-central-1:111122223333:workspace/ws-0123"
  }

  assert {
    condition = (
      yamldecode(local.configuration).scrape_configs[0].static_configs[0].labels.instance == "t0rn-ec1-dev" &&
      yamldecode(local.configuration).remote_write[0].url == "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-0123/api/v1/remote_write" &&
      yamldecode(local.configuration).remote_write[0].sigv4.region == "eu-central-1"
    )
    error_message = local.configuration
  }

  assert {
    condition     = strcontains(aws_ssm_document.agent[0].content, base64encode(local.configuration)) && !strcontains(aws_ssm_document.agent[0].content, "{{")
    error_message = aws_ssm_document.agent[0].content
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.write[0].policy).Statement == [{ Effect = "Allow", Action = "aps:RemoteWrite", Resource = ["arn:aws:aps:eu-central-1:111122223333:workspace/ws-0123"] }]
    error_message = aws_iam_role_policy.write[0].policy
  }

  assert {
    condition = (
      aws_ssm_association.agent[0].schedule_expression == "rate(30 minutes)" && aws_ssm_association.agent[0].apply_only_at_cron_interval != true &&
      tonumber(jsondecode(aws_ssm_document.agent[0].content).mainSteps[0].inputs.timeoutSeconds) < 30 * 60
    )
    error_message = "one failure at the first boot leaves an instance without a Prometheus, or runs overlap"
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.exporter) == 0
    error_message = "a port is opened that is not needed"
  }
}

run "lets_one_security_group_read_the_exporter" {
  command = apply

  variables {
    prometheus_security_group_id = "sg-00000000000000001"
  }

  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.exporter[0].referenced_security_group_id == "sg-00000000000000001" && aws_vpc_security_group_ingress_rule.exporter[0].cidr_ipv4 == null &&
      aws_vpc_security_group_ingress_rule.exporter[0].from_port == 9733 && aws_vpc_security_group_ingress_rule.exporter[0].to_port == 9733
    )
    error_message = jsonencode(aws_vpc_security_group_ingress_rule.exporter)
  }

  assert {
    condition     = length(aws_ssm_association.agent) + length(aws_iam_role_policy.write) == 0
    error_message = "a right is given that is not needed"
  }
}
