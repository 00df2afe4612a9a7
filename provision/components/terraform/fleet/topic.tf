module "alarm_topic" {
  source = "../modules/alarm-topic"

  prefix     = "${var.prefix}-fleet"
  region     = var.region
  emails     = var.alarm_emails
  topic_arns = var.alarm_topic_arns
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
