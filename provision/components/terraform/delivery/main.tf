data "aws_partition" "this" {}

module "label" {
  source = "../modules/label"

  tenant      = var.tenant
  environment = var.environment
  stage       = var.stage
  region      = var.region
  name        = "delivery"
  tags        = var.tags
}

locals {
  stack        = module.label.stack
  provider_arn = coalesce(var.oidc_provider_arn, one(aws_iam_openid_connect_provider.github[*].arn))
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.oidc_provider_arn == null ? 1 : 0

  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
  # AWS trusts GitHub by its certificate's authority and looks at this no more; older providers want one all the same.
  thumbprint_list = ["6938fd4d98bab03faadb97b34396831e3780aea1"]
}

# Looks, and changes nothing: for every push to the branch.
module "plan" {
  source = "../modules/github-role"

  name                     = "${local.stack}-plan"
  permissions_boundary_arn = var.permissions_boundary_arn
  description              = "Terraform plan of ${local.stack} by workflows"
  oidc_provider_arn        = local.provider_arn
  repository               = var.repository
  # STS knows this claim there alone.
  workflow = local.partition == "aws" ? "deploy.yml" : null
  branch   = var.branch
  subjects = ["ref:refs/heads/${var.branch}"]
}

# Changes: only for jobs of the environment that is called like the stack, which waits for a reviewer.
module "apply" {
  source = "../modules/github-role"

  name                     = "${local.stack}-apply"
  permissions_boundary_arn = var.permissions_boundary_arn
  description              = "Terraform apply of ${local.stack} by workflows, after review"
  oidc_provider_arn        = local.provider_arn
  repository               = var.repository
  # STS knows this claim there alone.
  workflow = local.partition == "aws" ? "deploy.yml" : null
  branch   = var.branch
  subjects = ["environment:${local.stack}"]
}
