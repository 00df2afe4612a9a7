output "documents" {
  description = "Name of each document, by what it does"
  value       = { for key, document in aws_ssm_document.this : key => document.name }
}

output "rolling_update" {
  description = "Name of the automation that updates the collators one after the other"
  value       = aws_ssm_document.rolling_update.name
}

output "operator_policy_arn" {
  description = "ARN of the policy for operators of all collators"
  value       = aws_iam_policy.operator.arn
}

output "topic_arn" {
  description = "ARN of the SNS topic of the fleet's alarms"
  value       = module.alarm_topic.arn
}

output "alarms" {
  description = "Name of each alarm"
  value       = [for alarm in concat(values(aws_cloudwatch_metric_alarm.each), aws_cloudwatch_metric_alarm.number) : alarm.alarm_name]
}

output "dashboard" {
  description = "Name of the dashboard"
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "sink_arn" {
  description = "ARN of the sink that other accounts link to; null where this is no monitoring account"
  value       = one(aws_oam_sink.this[*].arn)
}
