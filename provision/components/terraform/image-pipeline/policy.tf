locals {
  # Packer puts this tag on everything that it makes, at the moment that it makes it.
  marked   = { Null = { "aws:ResourceTag/t0rn-agent:name" = "false" } }
  marking  = { Null = { "aws:RequestTag/t0rn-agent:name" = "false" } }
  made     = [for kind in ["image", "instance", "key-pair", "network-interface", "security-group", "snapshot", "volume"] : "arn:aws:ec2:${var.region}:*:${kind}/*"]
  lent     = [for kind in ["key-pair", "network-interface", "security-group", "subnet", "vpc"] : "arn:aws:ec2:${var.region}:*:${kind}/*"]
  from     = ["arn:aws:ec2:${var.region}::image/*", "arn:aws:ec2:${var.region}:*:snapshot/*"]
  pictures = ["arn:aws:ec2:${var.region}::image/*", "arn:aws:ec2:${var.region}::snapshot/*", "arn:aws:ec2:${var.region}:*:snapshot/*"]
}

resource "aws_iam_role_policy" "bake" {
  name = "bake"
  role = module.bake.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # IAM knows no resource for looking at these.
        Sid      = "Look"
        Effect   = "Allow"
        Action   = ["ec2:Describe*", "ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation"]
        Resource = "*"
      },
      {
        Sid       = "MakeWithTheMark"
        Effect    = "Allow"
        Action    = ["ec2:CopyImage", "ec2:CreateImage", "ec2:CreateKeyPair", "ec2:CreateSecurityGroup", "ec2:CreateSnapshot", "ec2:CreateVolume", "ec2:ImportKeyPair", "ec2:RegisterImage", "ec2:RunInstances"]
        Resource  = concat(local.made, local.pictures)
        Condition = local.marking
      },
      {
        Sid      = "MakeFrom"
        Effect   = "Allow"
        Action   = ["ec2:CreateImage", "ec2:CreateSecurityGroup", "ec2:CreateSnapshot", "ec2:CreateVolume", "ec2:RunInstances"]
        Resource = concat(local.lent, local.from)
      },
      {
        Sid       = "PictureWhatIsMarked"
        Effect    = "Allow"
        Action    = ["ec2:CreateImage", "ec2:CreateSnapshot"]
        Resource  = ["arn:aws:ec2:${var.region}:*:instance/*", "arn:aws:ec2:${var.region}:*:volume/*"]
        Condition = local.marked
      },
      {
        Sid       = "MarkAtBirth"
        Effect    = "Allow"
        Action    = "ec2:CreateTags"
        Resource  = concat(local.made, local.pictures)
        Condition = { StringEquals = { "ec2:CreateAction" = ["CopyImage", "CreateImage", "CreateKeyPair", "CreateSecurityGroup", "CreateSnapshot", "CreateVolume", "ImportKeyPair", "RegisterImage", "RunInstances"] } }
      },
      {
        Sid    = "ChangeAndRemoveWhatIsMarked"
        Effect = "Allow"
        Action = [
          "ec2:AttachVolume", "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags", "ec2:DeleteKeyPair", "ec2:DeleteSecurityGroup",
          "ec2:DeleteSnapshot", "ec2:DeleteVolume", "ec2:DeregisterImage", "ec2:DetachVolume", "ec2:EnableImageDeprecation",
          "ec2:ModifyImageAttribute", "ec2:ModifyInstanceAttribute", "ec2:ModifySnapshotAttribute",
          "ec2:RevokeSecurityGroupIngress", "ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances",
        ]
        Resource  = concat(local.made, local.pictures)
        Condition = local.marked
      },
      {
        Sid      = "Builder"
        Effect   = "Allow"
        Action   = "iam:PassRole"
        Resource = aws_iam_role.builder.arn
        Condition = {
          StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" }
        }
      },
      {
        Sid      = "BuilderProfile"
        Effect   = "Allow"
        Action   = "iam:GetInstanceProfile"
        Resource = aws_iam_instance_profile.builder.arn
      },
      {
        Sid       = "ReachTheBuilder"
        Effect    = "Allow"
        Action    = ["ssm:StartSession"]
        Resource  = "arn:aws:ec2:${var.region}:*:instance/*"
        Condition = { Null = { "ssm:resourceTag/t0rn-agent:name" = "false" } }
      },
      {
        Sid      = "ReachTheBuilderBy"
        Effect   = "Allow"
        Action   = "ssm:StartSession"
        Resource = "arn:aws:ssm:${var.region}::document/AWS-StartPortForwardingSession"
      },
      {
        Sid       = "AskTheBuilder"
        Effect    = "Allow"
        Action    = "ssm:SendCommand"
        Resource  = "arn:aws:ec2:${var.region}:*:instance/*"
        Condition = { Null = { "ssm:resourceTag/t0rn-agent:name" = "false" } }
      },
      {
        Sid      = "AskTheBuilderBy"
        Effect   = "Allow"
        Action   = "ssm:SendCommand"
        Resource = "arn:aws:ssm:${var.region}::document/AWS-RunShellScript"
      },
      {
        Sid      = "WhichIsCurrent"
        Effect   = "Allow"
        Action   = "ssm:GetParameter"
        Resource = "arn:aws:ssm:${var.region}:*:parameter${var.image_parameter}"
      },
    ]
  })
}

resource "aws_iam_role_policy" "publish" {
  name = "publish"
  role = module.publish.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # IAM knows no resource for looking at these.
        Sid      = "Look"
        Effect   = "Allow"
        Action   = ["ec2:DescribeImages", "ec2:DescribeInstances", "ec2:DescribeSnapshots"]
        Resource = "*"
      },
      {
        # A copy lies in another region, and has its tags only afterwards.
        Sid      = "Copy"
        Effect   = "Allow"
        Action   = ["ec2:CopyImage", "ec2:CreateTags"]
        Resource = ["arn:aws:ec2:*::image/*", "arn:aws:ec2:*::snapshot/*"]
      },
      {
        Sid       = "ShareAndRemoveWhatIsMarked"
        Effect    = "Allow"
        Action    = ["ec2:DeleteSnapshot", "ec2:DeregisterImage", "ec2:ModifyImageAttribute", "ec2:ModifySnapshotAttribute"]
        Resource  = ["arn:aws:ec2:*::image/*", "arn:aws:ec2:*::snapshot/*"]
        Condition = local.marked
      },
      {
        Sid      = "Publish"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter", "ssm:PutParameter"]
        Resource = "arn:aws:ssm:*:*:parameter${var.image_parameter}"
      },
    ]
  })
}
