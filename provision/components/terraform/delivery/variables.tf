variable "tenant" {
  description = "Who it belongs to, such as t0rn."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "The region's short name, such as ec1 for eu-central-1."
  type        = string
  nullable    = false
}

variable "stage" {
  description = "The stage of the deployment, such as dev or prod."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Further tags of every resource, such as the cost centre."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "region" {
  description = "AWS region, such as eu-central-1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be an AWS region's full name, such as eu-central-1; its short name belongs into environment."
  }
}

variable "role_arn" {
  description = "Role to assume in the stage's account; null for the account of the credentials at hand."
  type        = string
  default     = null

  validation {
    condition     = var.role_arn == null || can(regex("^arn:${module.label.partition}:iam::[0-9]{12}:role/.+$", var.role_arn))
    error_message = "role_arn must be the ARN of a role in the partition of ${var.region}, such as arn:${module.label.partition}:iam::111122223333:role/t0rn-apply, or null for the account of the credentials at hand."
  }
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of every role that is made here; the role that applies can then make and change no role without it. Null for none."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:${module.label.partition}:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of a policy in the partition of ${var.region}, such as arn:${module.label.partition}:iam::111122223333:policy/boundary, or null for none."
  }
}

variable "repository" {
  description = "Repository on GitHub whose workflows are let in: OWNER/NAME, or OWNER@ID/NAME@ID with the ids of a repository whose subjects have them (gh api repos/OWNER/NAME --jq '[.owner.id, .id]')."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+(/[A-Za-z0-9._-]+|@[0-9]+/[A-Za-z0-9._-]+@[0-9]+)$", var.repository))
    error_message = "repository must be OWNER/NAME on GitHub, or OWNER@ID/NAME@ID with both ids, without a wildcard: every match may take the role."
  }
}

variable "branch" {
  description = "Branch that is planned without a gate."
  type        = string
  default     = "main"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]+$", var.branch))
    error_message = "branch must be the name of one branch, such as main, without a wildcard."
  }
}

variable "oidc_provider_arn" {
  description = "ARN of the account's identity provider for GitHub's workflows where it has one already: an account takes only one. Null to make it."
  type        = string
  default     = null

  validation {
    condition     = var.oidc_provider_arn == null || can(regex("^arn:${module.label.partition}:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.oidc_provider_arn))
    error_message = "oidc_provider_arn must be the ARN of GitHub's identity provider in the partition of ${var.region}, such as arn:${module.label.partition}:iam::111122223333:oidc-provider/token.actions.githubusercontent.com, or null to make the provider."
  }
}

variable "state_bucket" {
  description = "S3 bucket with Terraform's state, as in the state's mixin."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.state_bucket))
    error_message = "state_bucket must be the name of an S3 bucket: 3 to 63 lowercase letters, digits, dots and dashes. Workflows need state in S3; local state dies with their machine."
  }
}

variable "kms_key_arns" {
  description = "Keys that the stack's components are given as kms_key_arn, so that the role apply may encrypt volumes with them."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.kms_key_arns : can(regex("^arn:${module.label.partition}:kms:${var.region}:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "kms_key_arns must be ARNs of keys of ${var.region} (no aliases, no wildcards), such as arn:${module.label.partition}:kms:${var.region}:111122223333:key/…."
  }
}

variable "vpc_id" {
  description = "The stack's VPC: of what has no tag, the role apply closes only that VPC's default security group, route table and ACL. Empty before the VPC is made: that of any VPC of the region."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(vpc-[0-9a-f]+)?$", var.vpc_id))
    error_message = "vpc_id must be a VPC's id, such as vpc-0123456789abcdef0, or empty before it is made."
  }
}

variable "associations" {
  description = "Whether the role apply makes and changes the association of the document STACK-collect-metrics, whose text it writes as well. AWS does not check which instances an association names by tags: false where the region has other instances at Systems Manager, and an administrator applies observability."
  type        = bool
  default     = true
  nullable    = false
}
