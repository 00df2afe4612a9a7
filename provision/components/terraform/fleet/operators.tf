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
        Resource = [for document in aws_ssm_document.this : document.arn]
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
        Sid      = "RollingUpdate"
        Effect   = "Allow"
        Action   = "ssm:StartAutomationExecution"
        Resource = "${local.ssm}:automation-definition/${local.rolling_update}:*"
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
        Resource  = aws_iam_role.rolling_update.arn
        Condition = { StringEquals = { "iam:PassedToService" = "ssm.amazonaws.com" } }
      },
    ]
  })
}
