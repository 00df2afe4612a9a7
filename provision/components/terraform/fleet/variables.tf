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
  description = "Permissions boundary of the role; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:${module.label.partition}:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of a policy in the partition of ${var.region}, such as arn:${module.label.partition}:iam::111122223333:policy/boundary, or null for none."
  }
}

variable "prefix" {
  description = "What the names of the account's documents, alarms and policies begin with"
  type        = string
  default     = "t0rn-agent"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.prefix)) && !startswith(var.prefix, "aws-") && !startswith(var.prefix, "amazon") && !startswith(var.prefix, "amzn")
    error_message = "prefix must be 3 to 20 lowercase letters, digits and dashes, such as t0rn-agent, and not begin with aws-, amazon or amzn, which Systems Manager keeps for itself."
  }
}

variable "collators" {
  description = "How many collators of the region should run, for an alarm when fewer report; null for no such alarm"
  type        = number
  default     = null

  validation {
    condition     = var.collators == null || try(var.collators >= 1 && floor(var.collators) == var.collators, false)
    error_message = "collators must be a whole number from 1, or null for no such alarm."
  }
}

variable "dashboard_regions" {
  description = "Further regions whose collators the dashboard shows"
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for region in var.dashboard_regions : can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]$", region))])
    error_message = "dashboard_regions are AWS regions' full names, such as eu-west-1."
  }
}

variable "source_account_ids" {
  description = "Accounts whose metrics this one shows too, as a monitoring account; each then names the output sink_arn as its monitoring_sink_arn"
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.source_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "source_account_ids are account ids of 12 digits, in quotes, such as \"111122223333\"."
  }
}

variable "monitoring_sink_arn" {
  description = "Sink of the account that shows this account's metrics; null for none"
  type        = string
  default     = null

  validation {
    condition     = var.monitoring_sink_arn == null || can(regex("^arn:${module.label.partition}:oam:${var.region}:[0-9]{12}:sink/.+$", var.monitoring_sink_arn))
    error_message = "monitoring_sink_arn must be the ARN of a sink of ${var.region}, the output sink_arn of the monitoring account's fleet, or null for none."
  }

  validation {
    condition     = var.monitoring_sink_arn == null || length(var.source_account_ids) == 0
    error_message = "monitoring_sink_arn and source_account_ids exclude each other: an account is monitored, or monitors."
  }
}

variable "alarm_emails" {
  description = "Addresses that alarms are mailed to, once each has been confirmed"
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for address in var.alarm_emails : can(regex("^[^@[:space:][:cntrl:]]+@[^@[:space:][:cntrl:]]+\\.[^@[:space:][:cntrl:]]+$", address))])
    error_message = "alarm_emails are mail addresses, without blanks and ends of lines, such as ops@t0rn.io."
  }
}

variable "alarm_topic_arns" {
  description = "Further SNS topics that receive alarms, such as the one of a paging service"
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_topic_arns : can(regex("^arn:${module.label.partition}:sns:${var.region}:[0-9]{12}:[A-Za-z0-9_-]+$", arn))])
    error_message = "alarm_topic_arns are ARNs of SNS topics of ${var.region}, whose alarms reach no others, such as arn:${module.label.partition}:sns:${var.region}:111122223333:pager."
  }
}

variable "thresholds" {
  description = "When an alarm is raised: used disk in percent, blocks behind, peers, age of the agent's loop in seconds"
  type = object({
    disk_used_percent = optional(number, 85)
    blocks_behind     = optional(number, 100)
    peers             = optional(number, 1)
    loop_age_seconds  = optional(number, 60)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.thresholds.disk_used_percent > 0 && var.thresholds.disk_used_percent < 100
    error_message = "thresholds.disk_used_percent is between 0 and 100, such as 85."
  }

  validation {
    condition     = min(var.thresholds.blocks_behind, var.thresholds.peers, var.thresholds.loop_age_seconds) >= 1
    error_message = "thresholds.blocks_behind, peers and loop_age_seconds are 1 or more: below, the alarm could never be raised, or never end."
  }
}
