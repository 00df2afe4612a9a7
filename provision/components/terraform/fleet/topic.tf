module "alarm_topic" {
  source = "../modules/alarm-topic"

  prefix = "${var.prefix}-fleet"
  region = var.region
  emails = var.alarm_emails
}

locals {
  alarm_targets = concat([module.alarm_topic.arn], sort(var.alarm_topic_arns))
}

moved {
  from = aws_sns_topic.alarms
  to   = module.alarm_topic.aws_sns_topic.this
}

moved {
  from = aws_sns_topic_policy.alarms
  to   = module.alarm_topic.aws_sns_topic_policy.this
}

moved {
  from = aws_sns_topic_subscription.email
  to   = module.alarm_topic.aws_sns_topic_subscription.email
}

check "alarms_have_a_recipient" {
  assert {
    condition     = length(var.alarm_emails) + length(var.alarm_topic_arns) > 0
    error_message = "the fleet's alarms reach no one: set alarm_emails or alarm_topic_arns."
  }
}
