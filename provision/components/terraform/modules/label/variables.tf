variable "tenant" {
  description = "Who it belongs to, such as t0rn."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]{1,8}$", var.tenant))
    error_message = "tenant must be 1 to 8 lowercase letters and digits, such as t0rn: it is part of every name."
  }
}

variable "environment" {
  description = "The region's short name, such as ec1 for eu-central-1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]{1,8}$", var.environment))
    error_message = "environment must be 1 to 8 lowercase letters and digits, such as ec1 for eu-central-1: it is part of every name."
  }

  validation {
    condition     = local.short_names[var.region] == var.environment || !contains(values(local.short_names), var.environment)
    error_message = "environment and region contradict each other: ${var.environment} is short for ${join(" or ", sort([for region, name in local.short_names : region if name == var.environment]))}, and region is ${var.region}: set environment = \"${local.short_names[var.region]}\", or that region."
  }
}

variable "region" {
  description = "AWS region, such as eu-central-1."
  type        = string
  nullable    = false
}

variable "stage" {
  description = "The stage of the deployment, such as dev or prod."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]{1,10}$", var.stage))
    error_message = "stage must be 1 to 10 lowercase letters and digits, such as dev, staging or prod: it is part of every name."
  }
}

variable "name" {
  description = "What it is, such as vpc or collator."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.name))
    error_message = "name must be 2 to 20 lowercase letters, digits and dashes, begin with a letter and not end with a dash, such as collator."
  }
}

variable "tags" {
  description = "Further tags, such as the cost centre."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.tags) : !contains(["Name", "Stack", "Tenant", "Environment", "Stage", "Component", "ManagedBy"], key)])
    error_message = "tags must not contain Name, Stack, Tenant, Environment, Stage, Component or ManagedBy: the label sets those."
  }

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:") && length(key) <= 128]) && length(var.tags) <= 37
    error_message = "tags must be at most 37 (Data Lifecycle Manager takes 45 with those of the label), their keys at most 128 characters and not begin with aws:, which Amazon keeps for itself."
  }

  validation {
    condition     = alltrue([for value in values(var.tags) : can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]*$", value)) && try(length(value) <= 256, false)])
    error_message = "tags must have values of at most 256 letters, digits, spaces and _.:/=+@-, and no null: IAM takes no others. Leave a tag out that has no value."
  }

  validation {
    condition     = alltrue([for key in keys(var.tags) : can(regex("^[A-Za-z0-9+=.,_:@-]+$", key))])
    error_message = "tags must have keys without spaces and slashes, such as CostCenter: with another one EC2 starts no instance that has tags in its metadata."
  }
}
