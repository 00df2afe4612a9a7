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

variable "autoscaling_group_name" {
  description = "Auto Scaling group of the collator"
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_./-]{1,255}$", var.autoscaling_group_name))
    error_message = "autoscaling_group_name is the name of the collator's Auto Scaling group, as the component t0rn-collator puts it out; apply that one first."
  }
}

variable "instance_type" {
  description = "Instance type of the collator; a burstable one has an alarm on its CPU credits"
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", var.instance_type))
    error_message = "instance_type is a family and a size, such as t3a.medium, the same as the collator's."
  }
}

variable "chains" {
  description = "Chains that the agent watches, as in its configuration"
  type        = set(string)
  default     = ["parachain", "relaychain"]
  nullable    = false

  validation {
    condition     = length(var.chains) > 0 && length(setsubtract(var.chains, ["parachain", "relaychain"])) == 0
    error_message = "chains names what the agent's configuration has under [chains]: parachain, relaychain, or both."
  }
}

variable "data_path" {
  description = "Mount point of the chain data on the host"
  type        = string
  default     = "/var/lib/t0rn-collator"
  nullable    = false

  validation {
    condition     = can(regex("^(/[A-Za-z0-9_.-]+)+$", var.data_path))
    error_message = "data_path is an absolute path without a slash at its end, such as /var/lib/t0rn-collator."
  }
}

variable "exporter" {
  description = "Where the agent's own exporter listens on the host: metrics.listen of its configuration"
  type        = string
  default     = "127.0.0.1:9733"
  nullable    = false

  validation {
    condition     = can(regex("^(127\\.[0-9.]+|localhost):[0-9]{1,5}$", var.exporter))
    error_message = "exporter is an address of the host itself and a port, such as 127.0.0.1:9733: the exporter is read from the same host and is not for others."
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
  description = "When an alarm is raised: used disk and available memory in percent, CPU credits, blocks behind, peers, age of the agent's loop in seconds"
  type = object({
    disk_used_percent        = optional(number, 85)
    memory_available_percent = optional(number, 5)
    cpu_credits              = optional(number, 30)
    blocks_behind            = optional(number, 100)
    peers                    = optional(number, 1)
    loop_age_seconds         = optional(number, 60)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.thresholds.disk_used_percent > 0 && var.thresholds.disk_used_percent < 100
    error_message = "thresholds.disk_used_percent is between 0 and 100, such as 85: at 100 the database has already run into the wall."
  }

  validation {
    condition     = var.thresholds.memory_available_percent > 0 && var.thresholds.memory_available_percent < 100
    error_message = "thresholds.memory_available_percent is between 0 and 100, such as 5."
  }

  validation {
    condition     = min(var.thresholds.cpu_credits, var.thresholds.blocks_behind, var.thresholds.peers, var.thresholds.loop_age_seconds) >= 1
    error_message = "thresholds.cpu_credits, blocks_behind, peers and loop_age_seconds are 1 or more: below, the alarm could never be raised, or never end."
  }
}

variable "retention_days" {
  description = "For how many days the log that carries the metrics is kept; the metrics themselves live for 15 months"
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827], var.retention_days)
    error_message = "retention_days is one that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096 or 1827."
  }
}
