output "autoscaling_group_name" {
  description = "The Auto Scaling group of the collator."
  value       = aws_autoscaling_group.this.name
}

output "launch_template_id" {
  description = "The launch template."
  value       = aws_launch_template.this.id
}

output "instance_type" {
  description = "The instance type; with spot, the first choice."
  value       = var.instance_types[0]
}

output "ami_id" {
  description = "The image that the next instance starts from."
  value       = data.aws_ami.this.id
}

output "role_arn" {
  description = "The instance's role, for a key's policy."
  value       = aws_iam_role.this.arn
}

output "security_group_id" {
  description = "The instance's security group."
  value       = aws_security_group.this.id
}

output "agent_toml" {
  description = "The agent's configuration, as the instance gets it."
  value       = module.user_data.agent_toml
}
