locals {
  alarm_targets = concat([aws_sns_topic.alarms.arn], sort(var.alarm_topic_arns))
}

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch cannot publish under the key that AWS manages, and a key of one's own costs more than all alarms; the texts hold no secret
  name = "${var.prefix}-fleet-alarms"
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Alarms"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alarms.arn
      Condition = { ArnLike = { "aws:SourceArn" = "arn:${local.partition}:cloudwatch:${var.region}:${local.account}:alarm:${var.prefix}-fleet-*" } }
    }]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.alarm_emails

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

check "alarms_have_a_recipient" {
  assert {
    condition     = length(var.alarm_emails) + length(var.alarm_topic_arns) > 0
    error_message = "the fleet's alarms reach no one: set alarm_emails or alarm_topic_arns."
  }
}
