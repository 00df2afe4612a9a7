locals {
  partition = data.aws_partition.this.partition

  # Packer puts this tag on everything that it makes, at the moment that it makes it. Its value is the image's name, and
  # that is the stack's: another stack's images are not ours.
  marked   = { StringEquals = { "aws:ResourceTag/t0rn-agent:name" = local.stack } }
  marking  = { StringEquals = { "aws:RequestTag/t0rn-agent:name" = local.stack } }
  reached  = { StringEquals = { "ssm:resourceTag/t0rn-agent:name" = local.stack } }
  made     = [for kind in ["image", "instance", "key-pair", "network-interface", "security-group", "snapshot", "volume"] : "arn:${local.partition}:ec2:${var.region}:*:${kind}/*"]
  lent     = [for kind in ["key-pair", "network-interface", "security-group", "subnet", "vpc"] : "arn:${local.partition}:ec2:${var.region}:*:${kind}/*"]
  from     = ["arn:${local.partition}:ec2:${var.region}::image/*", "arn:${local.partition}:ec2:${var.region}:*:snapshot/*"]
  pictures = ["arn:${local.partition}:ec2:${var.region}::image/*", "arn:${local.partition}:ec2:${var.region}::snapshot/*", "arn:${local.partition}:ec2:${var.region}:*:snapshot/*"]

  # EBS encrypts with the key on behalf of the role that makes a volume, an image or a copy of one, in each region of these.
  through_ebs = { StringLike = { "kms:ViaService" = "ec2.*.amazonaws.com" } }
  keys = [for statement in [
    {
      Sid       = "UseKeys"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
      Resource  = sort(var.kms_key_arns)
      Condition = local.through_ebs
    },
    {
      Sid       = "GrantKeysToEbs"
      Effect    = "Allow"
      Action    = "kms:CreateGrant"
      Resource  = sort(var.kms_key_arns)
      Condition = merge(local.through_ebs, { Bool = { "kms:GrantIsForAWSResource" = "true" } })
    },
  ] : statement if length(var.kms_key_arns) > 0]

  never = concat(
    [
      # In a snapshot of an identity volume lie the collator's keys: no image and no volume is made of one, and it is shared with no account.
      for key in ["identity-snapshot", "identity"] : {
        Sid       = "NothingFromAn${join("", [for word in split("-", key) : title(word)])}"
        Effect    = "Deny"
        Action    = ["ec2:CopySnapshot", "ec2:CreateImage", "ec2:CreateSnapshot*", "ec2:CreateTags", "ec2:CreateVolume", "ec2:DeleteSnapshot", "ec2:ModifySnapshotAttribute", "ec2:RegisterImage", "ec2:RunInstances"]
        Resource  = ["arn:${local.partition}:ec2:*:*:snapshot/*", "arn:${local.partition}:ec2:*:*:volume/*"]
        Condition = { Null = { "aws:ResourceTag/t0rn-agent:${key}" = "false" } }
      }
    ],
    [{
      Sid       = "NoOtherImagesMark"
      Effect    = "Deny"
      Action    = "ec2:CreateTags"
      Resource  = "arn:${local.partition}:ec2:*:*:*/*"
      Condition = { Null = { "aws:ResourceTag/t0rn-agent:name" = "false" }, StringNotEquals = { "aws:ResourceTag/t0rn-agent:name" = local.stack } }
    }],
  )
}

resource "aws_iam_role_policy" "bake" {
  #checkov:skip=CKV_AWS_355:IAM knows no resource for what is looked at.
  name = "bake"
  role = module.bake.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.never, local.keys, [
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
        Action    = ["ec2:CreateKeyPair", "ec2:CreateSecurityGroup", "ec2:CreateVolume", "ec2:ImportKeyPair", "ec2:RunInstances"]
        Resource  = local.made
        Condition = local.marking
      },
      {
        # Of what is marked (PictureWhatIsMarked): not of an instance or a volume of others.
        Sid       = "PictureWithTheMark"
        Effect    = "Allow"
        Action    = ["ec2:CopyImage", "ec2:CreateImage", "ec2:CreateSnapshot", "ec2:RegisterImage"]
        Resource  = local.pictures
        Condition = local.marking
      },
      {
        Sid      = "MakeFrom"
        Effect   = "Allow"
        Action   = ["ec2:CreateSecurityGroup", "ec2:CreateVolume", "ec2:RunInstances"]
        Resource = concat(local.lent, local.from)
      },
      {
        Sid       = "PictureWhatIsMarked"
        Effect    = "Allow"
        Action    = ["ec2:CreateImage", "ec2:CreateSnapshot"]
        Resource  = ["arn:${local.partition}:ec2:${var.region}:*:instance/*", "arn:${local.partition}:ec2:${var.region}:*:volume/*"]
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
        # A rule has no owner but its group.
        Sid      = "Rules"
        Effect   = "Allow"
        Action   = "ec2:AuthorizeSecurityGroupIngress"
        Resource = "arn:${local.partition}:ec2:${var.region}:*:security-group-rule/*"
      },
      {
        Sid      = "Builder"
        Effect   = "Allow"
        Action   = "iam:PassRole"
        Resource = "arn:${local.partition}:iam::*:role/${local.builder}"
        Condition = {
          StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" }
        }
      },
      {
        Sid      = "BuilderProfile"
        Effect   = "Allow"
        Action   = "iam:GetInstanceProfile"
        Resource = "arn:${local.partition}:iam::*:instance-profile/${local.builder}"
      },
      {
        Sid       = "ReachTheBuilder"
        Effect    = "Allow"
        Action    = ["ssm:StartSession"]
        Resource  = "arn:${local.partition}:ec2:${var.region}:*:instance/*"
        Condition = local.reached
      },
      {
        Sid      = "ReachTheBuilderBy"
        Effect   = "Allow"
        Action   = "ssm:StartSession"
        Resource = "arn:${local.partition}:ssm:${var.region}::document/AWS-StartPortForwardingSession"
      },
      {
        # Its own sessions: their ids begin with the user's.
        Sid       = "EndOwnSessions"
        Effect    = "Allow"
        Action    = "ssm:TerminateSession"
        Resource  = "arn:${local.partition}:ssm:${var.region}:*:session/*"
        Condition = { StringLike = { "ssm:resourceTag/aws:ssmmessages:session-id" = "$${aws:userid}*" } }
      },
      {
        Sid       = "AskTheBuilder"
        Effect    = "Allow"
        Action    = "ssm:SendCommand"
        Resource  = "arn:${local.partition}:ec2:${var.region}:*:instance/*"
        Condition = local.reached
      },
      {
        Sid      = "AskTheBuilderBy"
        Effect   = "Allow"
        Action   = "ssm:SendCommand"
        Resource = "arn:${local.partition}:ssm:${var.region}::document/AWS-RunShellScript"
      },
      {
        Sid      = "WhichIsCurrent"
        Effect   = "Allow"
        Action   = "ssm:GetParameter"
        Resource = "arn:${local.partition}:ssm:${var.region}:*:parameter${var.image_parameter}"
      },
    ])
  })
}

resource "aws_iam_role_policy" "publish" {
  #checkov:skip=CKV_AWS_355:IAM knows no resource for what is looked at.
  name = "publish"
  role = module.publish.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.never, local.keys, [
      {
        # IAM knows no resource for looking at these.
        Sid    = "Look"
        Effect = "Allow"
        Action = [
          "autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeLaunchConfigurations", "ec2:DescribeImageAttribute",
          "ec2:DescribeImages", "ec2:DescribeInstances", "ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions",
          "ec2:DescribeSnapshotAttribute", "ec2:DescribeSnapshots",
        ]
        Resource = "*"
      },
      {
        # Marked at its birth or not made: what has no mark is another's, and gets none later.
        Sid       = "Copy"
        Effect    = "Allow"
        Action    = "ec2:CopyImage"
        Resource  = ["arn:${local.partition}:ec2:*::image/*", "arn:${local.partition}:ec2:*::snapshot/*"]
        Condition = local.marking
      },
      {
        Sid       = "MarkTheCopy"
        Effect    = "Allow"
        Action    = "ec2:CreateTags"
        Resource  = ["arn:${local.partition}:ec2:*::image/*", "arn:${local.partition}:ec2:*::snapshot/*"]
        Condition = { StringEquals = merge(local.marking.StringEquals, { "ec2:CreateAction" = "CopyImage" }) }
      },
      {
        Sid       = "ShareAndRemoveWhatIsMarked"
        Effect    = "Allow"
        Action    = ["ec2:DeleteSnapshot", "ec2:DeregisterImage", "ec2:ModifyImageAttribute", "ec2:ModifySnapshotAttribute"]
        Resource  = ["arn:${local.partition}:ec2:*::image/*", "arn:${local.partition}:ec2:*::snapshot/*"]
        Condition = local.marked
      },
      {
        # EC2 reads it with these rights for a launch template that names it in the place of an image (resolve:ssm:…).
        Sid      = "Publish"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter", "ssm:GetParameters", "ssm:PutParameter"]
        Resource = "arn:${local.partition}:ssm:*:*:parameter${var.image_parameter}"
      },
    ])
  })
}
