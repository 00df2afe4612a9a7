locals {
  collators = {
    Sid       = "Collators"
    Effect    = "Allow"
    Action    = "ssm:SendCommand"
    Resource  = "arn:${local.partition}:ec2:${var.region}:${local.account}:instance/*"
    Condition = { StringEquals = { for tag, value in local.selection : "ssm:resourceTag/${tag}" => value } }
  }
}

# These documents, on the collators of this tenant. AWS-RunShellScript would be a root shell.
# ARNs are put together of names, so that a plan from nothing shows the whole policy.
resource "aws_iam_policy" "operator" {
  name        = "${local.iam_prefix}-operator"
  description = "Send the documents ${var.prefix}-* to all collators of ${var.tenant}, and update them one after the other"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Documents"
        Effect   = "Allow"
        Action   = "ssm:SendCommand"
        Resource = [for document in aws_ssm_document.this : "${local.ssm}:document/${document.name}"]
      },
      local.collators,
      {
        # IAM knows no resource for these: an operator also reads and cancels commands of others.
        Sid    = "Results"
        Effect = "Allow"
        Action = [
          "autoscaling:DescribeAutoScalingGroups", "ssm:CancelCommand", "ssm:DescribeAutomationExecutions",
          "ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation", "ssm:ListCommandInvocations", "ssm:ListCommands",
        ]
        Resource = "*"
      },
      {
        # The document, and each execution of it; Systems Manager has asked for an automation-definition instead.
        Sid      = "RollingUpdate"
        Effect   = "Allow"
        Action   = "ssm:StartAutomationExecution"
        Resource = [for resource in ["automation-definition/${local.rolling_update}:*", "automation-execution/*", "document/${local.rolling_update}"] : "${local.ssm}:${resource}"]
      },
      {
        Sid      = "ItsCourse"
        Effect   = "Allow"
        Action   = ["ssm:DescribeAutomationStepExecutions", "ssm:GetAutomationExecution", "ssm:StopAutomationExecution"]
        Resource = "${local.ssm}:automation-execution/*"
      },
      {
        Sid       = "ItsRole"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = "arn:${local.partition}:iam::${local.account}:role/${aws_iam_role.rolling_update.name}"
        Condition = { StringEquals = { "iam:PassedToService" = "ssm.amazonaws.com" } }
      },
    ]
  })
}
