# What an account has once for all its collators of a region: documents, a rolling update, a dashboard, alarms.
data "aws_partition" "this" {}

data "aws_caller_identity" "this" {}

module "label" {
  source = "../modules/label"

  tenant      = var.tenant
  environment = var.environment
  stage       = var.stage
  region      = var.region
  name        = "fleet"
  tags        = var.tags
}

module "documents" {
  source = "../operations/documents"
}

locals {
  namespace = "T0rnAgent"
  partition = data.aws_partition.this.partition
  account   = data.aws_caller_identity.this.account_id
  ssm       = "arn:${local.partition}:ssm:${var.region}:${local.account}"
  # IAM's names are the account's, not the region's.
  iam_prefix = "${var.prefix}-fleet-${var.environment}"
  # The collators of a tenant, whichever their stack.
  selection = { Component = "collator", Tenant = var.tenant }
}

resource "aws_ssm_document" "this" {
  for_each = module.documents.contents

  name            = "${var.prefix}-${each.key}"
  document_type   = "Command"
  document_format = "JSON"
  target_type     = "/AWS::EC2::Instance"
  content         = jsonencode(each.value)
}
