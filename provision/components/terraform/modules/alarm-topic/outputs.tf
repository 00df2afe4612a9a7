output "arn" {
  description = "ARN of the topic."
  value       = aws_sns_topic.this.arn
}

output "name" {
  description = "Name of the topic."
  value       = aws_sns_topic.this.name
}

output "policy" {
  description = "Who may publish to it, as JSON."
  value       = aws_sns_topic_policy.this.policy
}

output "targets" {
  description = "ARNs that an alarm sends to: the topic, then the further ones."
  value       = concat([aws_sns_topic.this.arn], sort(var.topic_arns))
}
