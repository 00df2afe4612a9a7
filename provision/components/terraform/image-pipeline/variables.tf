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
  description = "Permissions boundary of every role that is made here; null for none."
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
  description = "Branch whose images are published."
  type        = string
  default     = "main"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]+$", var.branch))
    error_message = "branch must be the name of one branch, such as main, without a wildcard."
  }
}

variable "oidc_provider_arn" {
  description = "ARN of the account's identity provider for GitHub's workflows, as the component delivery puts it out."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:${module.label.partition}:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.oidc_provider_arn))
    error_message = "oidc_provider_arn must be the ARN of GitHub's identity provider in the partition of ${var.region}, such as arn:${module.label.partition}:iam::111122223333:oidc-provider/token.actions.githubusercontent.com; apply the component delivery first."
  }
}

variable "publish_environment" {
  description = "Environment on GitHub in which images are published."
  type        = string
  default     = "images"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+$", var.publish_environment))
    error_message = "publish_environment must be the name of one environment, such as images, without a wildcard."
  }
}

variable "image_parameter" {
  description = "SSM parameter that names the image in use."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^(/[A-Za-z0-9_.-]+)+$", var.image_parameter))
    error_message = "image_parameter must be the full name of an SSM parameter, such as /t0rn-agent/t0rn-ec1-dev/ami."
  }
}

variable "first_image_id" {
  description = "Image that the parameter begins with: the first one that was baked. Null while there is none; then there is no parameter either."
  type        = string
  default     = null

  validation {
    condition     = var.first_image_id == null || can(regex("^ami-([0-9a-f]{8}|[0-9a-f]{17})$", var.first_image_id))
    error_message = "first_image_id must be the id of an AMI in this region, such as ami-0123456789abcdef0, or null while none was baked."
  }
}

variable "kms_key_arns" {
  description = "Keys that images and their copies are encrypted with (the workflow's BAKE_KMS_KEY, in each of its regions); none for the account's default key of EBS. A key's policy has to let Auto Scaling's service role use it, too."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.kms_key_arns : can(regex("^arn:${module.label.partition}:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "kms_key_arns must be ARNs of keys in the partition of ${var.region} (no aliases, no wildcards), such as arn:${module.label.partition}:kms:${var.region}:111122223333:key/…."
  }
}
