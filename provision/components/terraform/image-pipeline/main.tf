data "aws_partition" "this" {}

module "label" {
  source = "../modules/label"

  tenant      = var.tenant
  environment = var.environment
  stage       = var.stage
  region      = var.region
  name        = "image-pipeline"
  tags        = var.tags
}

locals {
  stack   = module.label.stack
  builder = "${local.stack}-image-builder"
}

# Which image the collator starts from. Terraform makes it once; afterwards it is the pipeline's, which starts the refresh.
resource "aws_ssm_parameter" "image" {
  #checkov:skip=CKV2_AWS_34:an image's id is no secret, and EC2 reads only parameters of type String as an image
  count = var.first_image_id == null ? 0 : 1

  name        = var.image_parameter
  description = "Image that ${local.stack} starts its collator from"
  type        = "String"
  data_type   = "aws:ec2:image"
  value       = var.first_image_id

  lifecycle {
    ignore_changes = [value]
  }
}

# Makes images and removes what it made on the way.
module "bake" {
  source = "../modules/github-role"

  name                     = "${local.stack}-bake"
  permissions_boundary_arn = var.permissions_boundary_arn
  description              = "Bake images by workflows"
  oidc_provider_arn        = var.oidc_provider_arn
  repository               = var.repository
  # STS knows this claim there alone.
  workflow = local.partition == "aws" ? "bake.yml" : null
  branch   = var.branch
  subjects = ["ref:refs/heads/${var.branch}"]
  # The chain catches up for hours.
  max_session_hours = 6
}

# Says which image is the current one, and removes old ones: only in the environment that a reviewer may guard.
module "publish" {
  source = "../modules/github-role"

  name                     = "${local.stack}-publish"
  permissions_boundary_arn = var.permissions_boundary_arn
  description              = "Publish and prune images by workflows"
  oidc_provider_arn        = var.oidc_provider_arn
  repository               = var.repository
  # STS knows this claim there alone.
  workflow = local.partition == "aws" ? "bake.yml" : null
  branch   = var.branch
  subjects = ["environment:${var.publish_environment}"]
  # A copy to another region takes its time.
  max_session_hours = 4
}

# For a builder that is reached through Systems Manager, in a private subnet (ssh_interface = session_manager).
resource "aws_iam_role" "builder" {
  name                 = local.builder
  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "builder" {
  role       = aws_iam_role.builder.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

# A builder needs Amazon's documents alone.
module "no_foreign_parameters" {
  source = "../modules/no-foreign-parameters"

  partition = local.partition
}

resource "aws_iam_role_policy" "builder" {
  name   = "no-foreign-parameters"
  role   = aws_iam_role.builder.name
  policy = module.no_foreign_parameters.policy
}

resource "aws_iam_instance_profile" "builder" {
  name = local.builder
  role = aws_iam_role.builder.name
}
