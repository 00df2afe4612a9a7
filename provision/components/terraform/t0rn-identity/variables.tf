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

variable "availability_zone" {
  description = "The one zone in which the volume can be attached, and with it the collator's."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^${var.region}[a-h]$", var.availability_zone))
    error_message = "availability_zone must be a zone of ${var.region}, such as ${var.region}a: a volume cannot be attached in another one."
  }
}

variable "size_gib" {
  description = "Size of the volume. Keystore and node key take kilobytes."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.size_gib >= 1 && var.size_gib <= 16 && floor(var.size_gib) == var.size_gib
    error_message = "size_gib must be a whole number from 1 to 16: the volume holds a keystore and a node key; the chain has a volume of its own."
  }
}

variable "kms_key_arn" {
  description = "Key for the volume and its snapshots; null for the account's default key of EBS."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:${module.label.partition}:kms:${var.region}:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key of ${var.region} (no alias), such as arn:${module.label.partition}:kms:${var.region}:111122223333:key/…, or null for the account's default key."
  }
}

variable "snapshot_time" {
  description = "When the daily snapshot is made, UTC."
  type        = string
  default     = "03:30"
  nullable    = false

  validation {
    condition     = can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]$", var.snapshot_time))
    error_message = "snapshot_time must be hours and minutes in UTC, such as 03:30."
  }
}

variable "snapshots_kept" {
  description = "How many daily snapshots are kept."
  type        = number
  default     = 14
  nullable    = false

  validation {
    condition     = var.snapshots_kept >= 1 && var.snapshots_kept <= 1000 && floor(var.snapshots_kept) == var.snapshots_kept
    error_message = "snapshots_kept must be a whole number from 1 to 1000; without any, a lost volume is a lost identity."
  }
}
