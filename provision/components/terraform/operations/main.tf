data "aws_partition" "this" {}

data "aws_caller_identity" "this" {}

module "label" {
  source = "../modules/label"

  tenant      = var.tenant
  environment = var.environment
  stage       = var.stage
  region      = var.region
  name        = "operations"
  tags        = var.tags
}

module "documents" {
  source = "./documents"
}

resource "aws_ssm_document" "this" {
  for_each = module.documents.contents

  name            = "${module.label.stack}-${each.key}"
  document_type   = "Command"
  document_format = "JSON"
  target_type     = "/AWS::EC2::Instance"
  content         = jsonencode(each.value)
}

# For the collator's operators: these documents on this stack's instances. AWS-RunShellScript would be a root shell.
# ARNs are put together of names, so that a plan from nothing shows the whole policy.
resource "aws_iam_policy" "operator" {
  name        = "${module.label.stack}-operator"
  description = "Send the documents of ${module.label.stack} to its collator and read what comes back"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Documents"
        Effect   = "Allow"
        Action   = "ssm:SendCommand"
        Resource = [for document in aws_ssm_document.this : "arn:${data.aws_partition.this.partition}:ssm:${var.region}:${data.aws_caller_identity.this.account_id}:document/${document.name}"]
      },
      {
        Sid       = "Instances"
        Effect    = "Allow"
        Action    = "ssm:SendCommand"
        Resource  = "arn:${data.aws_partition.this.partition}:ec2:${var.region}:*:instance/*"
        Condition = { StringEquals = { "ssm:resourceTag/aws:autoscaling:groupName" = var.autoscaling_group_name } }
      },
      {
        # IAM knows no resource for these: an operator also reads and cancels commands of others.
        Sid    = "Results"
        Effect = "Allow"
        Action = [
          "autoscaling:DescribeAutoScalingGroups", "ssm:CancelCommand", "ssm:DescribeInstanceInformation",
          "ssm:GetCommandInvocation", "ssm:ListCommandInvocations", "ssm:ListCommands",
        ]
        Resource = "*"
      },
    ]
  })
}
