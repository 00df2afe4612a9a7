output "topic_arn" {
  description = "ARN of the SNS topic that receives every alarm"
  value       = module.alarm_topic.arn
}

output "alarms" {
  description = "Name of each alarm, by what it watches"
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.alarm_name }
}

output "dashboard" {
  description = "Name of the dashboard"
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}
