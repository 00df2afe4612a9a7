output "documents" {
  description = "Name of each document, by what it does"
  value       = { for key, document in aws_ssm_document.this : key => document.name }
}

output "contents" {
  description = "JSON text of each document, by what it does"
  value       = { for key, document in aws_ssm_document.this : key => document.content }
}

output "operator_policy_arn" {
  description = "ARN of the policy for operators of the collator"
  value       = aws_iam_policy.operator.arn
}
