# An SNS topic that takes messages of this account's alarms of one prefix, and of nothing else, and mails them.
resource "aws_sns_topic" "this" {
  #checkov:skip=CKV_AWS_26:CloudWatch cannot publish under the key that AWS manages, and a key of one's own costs more than all alarms; the texts hold no secret
  name = "${var.prefix}-alarms"
}

locals {
  # arn:PARTITION:sns:REGION:ACCOUNT:NAME
  topic  = split(":", aws_sns_topic.this.arn)
  alarms = "arn:${local.topic[1]}:cloudwatch:${var.region}:${local.topic[4]}:alarm:${var.prefix}-*"
}

resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Alarms"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.this.arn
      Condition = { ArnLike = { "aws:SourceArn" = local.alarms } }
    }]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.emails

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.value
}

check "alarm_has_recipient" {
  assert {
    condition     = length(var.emails) + length(var.topic_arns) > 0
    error_message = "The alarms of ${var.prefix} have no recipient: set alarm_emails or alarm_topic_arns."
  }
}
