output "bake_role_arn" {
  description = "For the variable BAKE_ROLE of the workflow bake."
  value       = module.bake.arn
}

output "publish_role_arn" {
  description = "For the variable PUBLISH_ROLE of the workflow bake."
  value       = module.publish.arn
}

output "builder_profile" {
  description = "Instance profile for what is reached through Systems Manager: the variable BAKE_PROFILE of the workflow bake."
  value       = aws_iam_instance_profile.builder.name
}

output "image_parameter" {
  description = "SSM parameter that names the image in use."
  value       = var.image_parameter
}
