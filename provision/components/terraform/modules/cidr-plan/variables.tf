variable "cidr_block" {
  description = "The VPC's IPv4 range, such as 10.10.0.0/18. A sixteenth of it is one subnet."
  type        = string
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.cidr_block))
    error_message = "cidr_block must be an IPv4 range, an address and a prefix such as 10.10.0.0/18."
  }

  validation {
    condition     = !can(cidrnetmask(var.cidr_block)) || try("${cidrhost(var.cidr_block, 0)}/${tonumber(split("/", var.cidr_block)[1])}" == var.cidr_block, false)
    error_message = "cidr_block must begin at its own network's address, without zeros before a number: for ${var.cidr_block} write ${try("${cidrhost(var.cidr_block, 0)}/${tonumber(split("/", var.cidr_block)[1])}", "10.10.0.0/18")}."
  }

  validation {
    condition     = try(tonumber(split("/", var.cidr_block)[1]) >= 16 && tonumber(split("/", var.cidr_block)[1]) <= 24, true)
    error_message = "cidr_block must have a prefix from /16, the largest VPC, to /24, whose sixteenth is /28, the smallest subnet."
  }

  validation {
    condition     = !can(cidrnetmask(var.cidr_block)) || can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.)", cidrhost(var.cidr_block, 0)))
    error_message = "cidr_block must lie in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16: other addresses belong to others, who could not be reached any more."
  }
}

variable "availability_zones" {
  description = "Availability zones by name, such as eu-central-1a."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.availability_zones) >= 1
    error_message = "availability_zones must name at least one zone, such as eu-central-1a."
  }

  validation {
    condition     = length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "availability_zones must name each zone once."
  }

  validation {
    condition     = alltrue([for zone in var.availability_zones : can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9][a-h]$", zone))])
    error_message = "availability_zones must be full names of zones, a region and a letter from a to h, such as eu-central-1a; zone ids (euc1-az1) and local zones have no place in the plan."
  }
}

variable "ipv6_cidr_block" {
  description = "The VPC's IPv6 range, a /56 that Amazon gave, once it is known; null without IPv6."
  type        = string
  default     = null
}
