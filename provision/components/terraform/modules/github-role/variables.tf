variable "name" {
  description = "Name of the role."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9-]{1,64}$", var.name))
    error_message = "name must be 1 to 64 lowercase letters, digits and dashes: IAM takes no longer name of a role."
  }
}

variable "description" {
  description = "What the role is for."
  type        = string
  nullable    = false
}

variable "oidc_provider_arn" {
  description = "ARN of the account's identity provider for GitHub's workflows."
  type        = string
  nullable    = false
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

variable "subjects" {
  description = "Jobs that may take the role: ref:refs/heads/BRANCH, environment:NAME or pull_request."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.subjects) > 0 && alltrue([for subject in var.subjects : can(regex("^(ref:refs/heads/[A-Za-z0-9._/-]+|environment:[A-Za-z0-9._-]+|pull_request)$", subject))])
    error_message = "subjects must be ref:refs/heads/BRANCH, environment:NAME or pull_request, without a wildcard: every match may take the role."
  }
}

variable "max_session_hours" {
  description = "For how many hours a job may keep the role."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.max_session_hours >= 1 && var.max_session_hours <= 12 && floor(var.max_session_hours) == var.max_session_hours
    error_message = "max_session_hours must be a whole number from 1 to 12, as IAM allows."
  }
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of the role; null for none."
  type        = string
  default     = null
}

variable "workflow" {
  description = "File in .github/workflows whose runs alone may take the role; null where STS knows no such claim, which is outside of the partition aws."
  type        = string
  default     = null

  validation {
    condition     = var.workflow == null || can(regex("^[A-Za-z0-9._-]+\\.ya?ml$", var.workflow))
    error_message = "workflow must be a file's name, such as deploy.yml, without a wildcard: every match may take the role."
  }
}

variable "branch" {
  description = "Branch that the workflow's file has to be of."
  type        = string
  default     = "main"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]+$", var.branch))
    error_message = "branch must be the name of one branch, such as main, without a wildcard."
  }
}
