locals {
  targets = concat([aws_sns_topic.alarms.arn], sort(var.alarm_topic_arns))
}

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch cannot publish under the key that AWS manages, and a key of one's own costs more than all alarms; the texts hold no secret
  name = "${local.name}-alarms"
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms.arn
        Condition = { ArnLike = { "aws:SourceArn" = "${local.alarm_arns}:${local.name}-*" } }
      },
    ]
  })
}

locals {
  # arn:PARTITION:sns:REGION:ACCOUNT:NAME: this account's alarms, without asking who we are.
  topic_arn  = split(":", aws_sns_topic.alarms.arn)
  alarm_arns = "arn:${local.topic_arn[1]}:cloudwatch:${var.region}:${local.topic_arn[4]}:alarm"
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.alarm_emails

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

check "somebody_is_told" {
  assert {
    condition     = length(var.alarm_emails) + length(var.alarm_topic_arns) > 0
    error_message = "no alarm has a recipient: set alarm_emails or alarm_topic_arns."
  }
}
