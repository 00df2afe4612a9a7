# For one stack of provision/: a Prometheus in agent mode on whatever instance its group starts, which writes to a workspace of Amazon
# Managed Service for Prometheus. Or, with prometheus_security_group_id, a way in for a Prometheus of one's own.
terraform {
  required_version = ">= 1.11.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}

variable "stack" {
  description = "The stack, such as t0rn-ec1-dev."
  type        = string
  nullable    = false
}

variable "workspace_arn" {
  description = "Workspace to write to; null for none."
  type        = string
  default     = null
}

variable "prometheus_security_group_id" {
  description = "Security group of the Prometheus that may read the exporter; null for none."
  type        = string
  default     = null
}

locals {
  writes = var.workspace_arn == null ? [] : [var.workspace_arn]
  # arn:PARTITION:aps:REGION:ACCOUNT:workspace/ID
  arn = split(":", coalesce(var.workspace_arn, "arn:aws:aps:none:none:workspace/none"))
  configuration = replace(replace(replace(file("${path.module}/../agent.yml"),
    "STACK", var.stack), "REGION", local.arn[3]), "WORKSPACE", trimprefix(local.arn[5], "workspace/")
  )
}

# The role of the component t0rn-collator has the stack's name.
resource "aws_iam_role_policy" "write" {
  count = length(local.writes)

  name = "remote-write"
  role = "${var.stack}-collator"

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "aps:RemoteWrite", Resource = local.writes }]
  })
}

resource "aws_ssm_document" "agent" {
  count = length(local.writes)

  name            = "${var.stack}-prometheus-agent"
  document_type   = "Command"
  document_format = "JSON"
  target_type     = "/AWS::EC2::Instance"

  content = jsonencode({
    schemaVersion = "2.2"
    description   = "Have a Prometheus in agent mode write what t0rn-agent exports"
    mainSteps = [{
      action       = "aws:runShellScript"
      name         = "prometheus"
      precondition = { StringEquals = ["platformType", "Linux"] }
      inputs = {
        # The pauses, and the wait for a lock of dpkg's; less than the interval below.
        timeoutSeconds = "1500"
        runCommand = split("\n", templatefile("${path.module}/install.sh.tftpl", {
          configuration = base64encode(local.configuration)
        }))
      }
    }]
  })
}

# Instances come and go; each is set up when it registers, and a run that failed is repeated.
resource "aws_ssm_association" "agent" {
  count = length(local.writes)

  name                = aws_ssm_document.agent[count.index].name
  association_name    = "${var.stack}-prometheus-agent"
  document_version    = aws_ssm_document.agent[count.index].latest_version
  schedule_expression = "rate(30 minutes)"

  targets {
    key    = "tag:aws:autoscaling:groupName"
    values = ["${var.stack}-collator"]
  }
}

data "aws_security_group" "collator" {
  count = var.prometheus_security_group_id == null ? 0 : 1

  name = "${var.stack}-collator"
}

resource "aws_vpc_security_group_ingress_rule" "exporter" {
  count = length(data.aws_security_group.collator)

  security_group_id            = data.aws_security_group.collator[count.index].id
  description                  = "Prometheus reads the exporter of t0rn-agent"
  referenced_security_group_id = var.prometheus_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 9733
  to_port                      = 9733
}
