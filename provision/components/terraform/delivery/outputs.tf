output "oidc_provider_arn" {
  description = "ARN of the account's identity provider for GitHub's workflows."
  value       = local.provider_arn
}

output "plan_role_arn" {
  description = "For the variable AWS_PLAN_ROLES of the workflow deploy."
  value       = module.plan.arn
}

output "apply_role_arn" {
  description = "For the variable AWS_APPLY_ROLE of the workflow deploy."
  value       = module.apply.arn
}
