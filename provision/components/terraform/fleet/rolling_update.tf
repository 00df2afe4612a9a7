# One collator after the other, by Systems Manager itself: with one at a time and no error allowed, it sends to no further
# instance after the first that does not do well.
locals {
  rolling_update = "${var.prefix}-rolling-update"

  rolling_update_targets = [
    { Key = "tag:Component", Values = [local.selection.Component] },
    { Key = "tag:Tenant", Values = [local.selection.Tenant] },
    # A StringList takes the place of the whole string.
    { Key = "{{ TagKey }}", Values = "{{ TagValues }}" },
  ]

  rolling_update_steps = [
    {
      name        = "before"
      description = "All answer, and are well: what fails later is then the image's doing"
      document    = aws_ssm_document.this["status"].name
      concurrency = "100%"
      parameters  = { format = "text", accept = "{{ Accept }}" }
    },
    {
      name        = "update"
      description = "One after the other: the update, its verdict, the status"
      document    = aws_ssm_document.this["update-wait"].name
      concurrency = "1"
      parameters  = { image = "{{ Image }}", accept = "{{ Accept }}" }
    },
    {
      name        = "after"
      description = "All are still well"
      document    = aws_ssm_document.this["status"].name
      concurrency = "100%"
      parameters  = { format = "text", accept = "{{ Accept }}" }
    },
  ]
}

resource "aws_ssm_document" "rolling_update" {
  name            = local.rolling_update
  document_type   = "Automation"
  document_format = "JSON"

  content = jsonencode({
    schemaVersion = "0.3"
    description   = "Update the collators one after the other, and stop at the first that is not well"
    assumeRole    = aws_iam_role.rolling_update.arn
    parameters = {
      Image = {
        type           = "String"
        description    = module.documents.contents["update-wait"].parameters.image.description
        allowedPattern = module.documents.contents["update-wait"].parameters.image.allowedPattern
      }
      TagKey = {
        type          = "String"
        description   = "By which tag the collators are chosen"
        default       = "tag:Stack"
        allowedValues = ["tag:Stack", "tag:Stage"]
      }
      TagValues = {
        type        = "StringList"
        description = "Its values, such as t0rn-ec1-dev and t0rn-ec1-staging, or with tag:Stage such as prod"
      }
      Accept = {
        type          = "String"
        description   = module.documents.contents["update-wait"].parameters.accept.description
        default       = "ok"
        allowedValues = ["ok", "degraded"]
      }
    }
    mainSteps = [
      for step in local.rolling_update_steps : {
        name        = step.name
        description = step.description
        action      = "aws:runCommand"
        onFailure   = "Abort"
        inputs = {
          DocumentName   = step.document
          Targets        = local.rolling_update_targets
          MaxConcurrency = step.concurrency
          MaxErrors      = "0"
          # For how long an instance may be out of reach before its command has failed.
          TimeoutSeconds = 600
          Parameters     = step.parameters
        }
      }
    ]
  })
}

resource "aws_iam_role" "rolling_update" {
  name                 = "${local.iam_prefix}-rolling-update"
  description          = "What the automation ${local.rolling_update} may do"
  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ssm.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "${local.ssm}:automation-execution/*" }
      }
    }]
  })
}

resource "aws_iam_role_policy" "rolling_update" {
  name = "rolling-update"
  role = aws_iam_role.rolling_update.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Documents"
        Effect   = "Allow"
        Action   = "ssm:SendCommand"
        Resource = [for name in ["status", "update-wait"] : "${local.ssm}:document/${aws_ssm_document.this[name].name}"]
      },
      local.collators,
      {
        # IAM knows no resource for these.
        Sid      = "Results"
        Effect   = "Allow"
        Action   = ["ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation", "ssm:ListCommandInvocations", "ssm:ListCommands"]
        Resource = "*"
      },
    ]
  })
}
