output "stack" {
  description = "The stack's name, such as t0rn-ec1-dev: unique within the accounts of one owner."
  value       = local.stack
}

output "id" {
  description = "The prefix of every name, such as t0rn-ec1-dev-collator: at most 49 characters, so that IAM's 64 leave 15 for a suffix."
  value       = local.id
}

output "path" {
  description = "The prefix of every parameter, such as /t0rn/ec1/dev/collator."
  value       = "/${join("/", [var.tenant, var.environment, var.stage, var.name])}"
}

output "partition" {
  description = "AWS partition of the region, such as aws."
  value       = local.partition
}

output "tags" {
  description = "The tags of every resource."
  value       = local.tags
}
