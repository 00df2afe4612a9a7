output "name" {
  description = "Name of the role."
  value       = aws_iam_role.this.name
}

output "arn" {
  description = "ARN of the role."
  value       = aws_iam_role.this.arn
}

output "trust" {
  description = "Who may take the role, as a policy."
  value       = aws_iam_role.this.assume_role_policy
}

output "permissions_boundary_arn" {
  description = "Permissions boundary of the role; null for none."
  value       = aws_iam_role.this.permissions_boundary
}
