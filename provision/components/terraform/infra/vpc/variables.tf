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

variable "cidr_block" {
  description = "The VPC's IPv4 range, from /16 to /24; a sixteenth of it is one subnet."
  type        = string
  default     = "10.10.0.0/18"
  nullable    = false
}

variable "availability_zones" {
  description = "Zones with a private and a public subnet each. With nat_gateways = \"per_az\", each costs a NAT gateway."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.availability_zones) > 0 && alltrue([for zone in var.availability_zones : try(startswith(zone, var.region), false)])
    error_message = "availability_zones must be zones of ${var.region}, at least one, such as ${var.region}a."
  }
}

variable "nat_gateways" {
  description = "Way out of the private subnets: one (shared), per_az (survives the loss of a zone) or none (endpoints only)."
  type        = string
  default     = "one"
  nullable    = false

  validation {
    condition     = contains(["one", "per_az", "none"], var.nat_gateways)
    error_message = "nat_gateways must be one, per_az or none."
  }

  validation {
    condition     = var.nat_gateways != "none" || length(setsubtract(["ssm", "ssmmessages", "ec2messages", "ec2", "autoscaling"], var.interface_endpoints)) == 0
    error_message = "nat_gateways = none leaves no way to the instances: add ssm, ssmmessages and ec2messages to interface_endpoints, and ec2 and autoscaling, without which the agent gets no identity volume and ends no lifecycle hook. A collator also needs its peers: without a NAT gateway only those with IPv6 are reached."
  }
}

variable "ipv6_enabled" {
  description = "Give the VPC and its subnets IPv6, and the private ones a way out without a way in."
  type        = bool
  default     = false
  nullable    = false
}

variable "interface_endpoints" {
  description = "AWS services with an endpoint in the private subnets, each at a cost per zone and hour. Session Manager takes ssm, ssmmessages and ec2messages."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(setsubtract(var.interface_endpoints, ["ssm", "ssmmessages", "ec2messages", "ec2", "autoscaling", "logs", "monitoring", "kms"])) == 0
    error_message = "interface_endpoints may name ssm, ssmmessages, ec2messages, ec2, autoscaling, logs, monitoring and kms."
  }
}

variable "flow_logs" {
  description = "Where the record of connections goes: s3 (parquet, cheap), cloudwatch (searched at once) or none."
  type        = string
  default     = "s3"
  nullable    = false

  validation {
    condition     = contains(["s3", "cloudwatch", "none"], var.flow_logs)
    error_message = "flow_logs must be s3, cloudwatch or none."
  }
}

variable "flow_logs_retention_days" {
  description = "For how many days flow logs are kept."
  type        = number
  default     = 90
  nullable    = false

  validation {
    # CloudWatch knows no other numbers.
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.flow_logs_retention_days)
    error_message = "flow_logs_retention_days must be a number that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "flow_logs_force_destroy" {
  description = "Let `destroy` delete the flow logs along with their bucket; otherwise it stops at a bucket that is not empty."
  type        = bool
  default     = false
  nullable    = false
}

variable "kms_key_arn" {
  description = "Key for the flow logs, whose policy lets the log delivery or CloudWatch use it; null for Amazon's own keys."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:${module.label.partition}:kms:${var.region}:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key of ${var.region} (no alias), such as arn:${module.label.partition}:kms:${var.region}:111122223333:key/…, or null for Amazon's own keys."
  }
}

variable "network_acl_cidr_blocks" {
  description = "Further IPv4 ranges that the network ACL lets in on every port, such as a peered network's, or the address from which a builder in a public subnet is reached by SSH. Others reach high ports alone, and those only where a security group lets them."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for block in var.network_acl_cidr_blocks : can(cidrnetmask(block)) && try("${cidrhost(block, 0)}/${tonumber(split("/", block)[1])}" == block, false)]) && length(var.network_acl_cidr_blocks) <= 10
    error_message = "network_acl_cidr_blocks must be at most 10 IPv4 ranges that begin at their own network's address, without zeros before a number, such as 192.168.0.0/16: an ACL takes 20 rules."
  }

  validation {
    condition     = !anytrue([for block in var.network_acl_cidr_blocks : try(endswith(block, "/0"), false)])
    error_message = "network_acl_cidr_blocks must not have 0.0.0.0/0: it opens every port to everybody, which this ACL is there to refuse. Name the networks that are let in."
  }
}

variable "s3_bucket_names" {
  description = "Buckets of other accounts that are read through the network's S3 endpoint, such as one with a chain's seed. The account's own and those of Amazon's agents are reached anyway."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.s3_bucket_names : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", name))])
    error_message = "s3_bucket_names must be names of S3 buckets, without a wildcard: 3 to 63 lowercase letters, digits, dots and dashes."
  }
}

variable "audit_trail_arn" {
  description = "CloudTrail's trail that records this account, its own or the organization's; a plan warns while it is null."
  type        = string
  default     = null

  validation {
    condition     = var.audit_trail_arn == null || can(regex("^arn:${module.label.partition}:cloudtrail:[a-z0-9-]+:[0-9]{12}:trail/.+$", var.audit_trail_arn))
    error_message = "audit_trail_arn must be the ARN of a trail in the partition of ${var.region}, such as arn:${module.label.partition}:cloudtrail:${var.region}:111122223333:trail/audit, or null while there is none."
  }
}
