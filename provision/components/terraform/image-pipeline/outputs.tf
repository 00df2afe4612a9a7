output "bake_role_arn" {
  description = "For the variable AWS_BAKE_ROLE of the workflow bake."
  value       = module.bake.arn
}

output "builder_profile" {
  description = "Instance profile for a builder that is reached through Systems Manager: Packer's instance_profile."
  value       = aws_iam_instance_profile.builder.name
}

output "image_parameter" {
  description = "SSM parameter that names the image in use."
  value       = var.image_parameter
}
