variable "root_volume_gib" {
  description = "Size of the system's volume; at least the image's."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.root_volume_gib >= 8 && var.root_volume_gib <= 500 && floor(var.root_volume_gib) == var.root_volume_gib
    error_message = "root_volume_gib must be a whole number from 8 to 500; the chain has a volume of its own."
  }
}

variable "chain_device" {
  description = "The chain's device in the image's mapping."
  type        = string
  default     = "/dev/sdf"
  nullable    = false

  validation {
    condition     = can(regex("^/dev/(sd|xvd)[f-p]$", var.chain_device))
    error_message = "chain_device must be from /dev/sdf to /dev/sdp (or /dev/xvd…): the others belong to root and to what comes with the instance."
  }
}

variable "chain_volume_gib" {
  description = "Size of the chain's volume; null for the image's. With a snapshot at least as large as it."
  type        = number
  default     = null

  validation {
    condition     = var.chain_volume_gib == null || try(var.chain_volume_gib >= 10 && var.chain_volume_gib <= 16384 && floor(var.chain_volume_gib) == var.chain_volume_gib, false)
    error_message = "chain_volume_gib must be a whole number from 10 to 16384, or null for the image's size."
  }
}

variable "chain_volume_iops" {
  description = "Operations per second of the chain's volume: 3000 are free."
  type        = number
  default     = 3000
  nullable    = false

  validation {
    condition     = var.chain_volume_iops >= 3000 && var.chain_volume_iops <= 16000 && floor(var.chain_volume_iops) == var.chain_volume_iops
    error_message = "chain_volume_iops must be a whole number from 3000, which are free, to 16000."
  }

  validation {
    condition     = var.chain_volume_gib == null || try(var.chain_volume_iops <= 500 * var.chain_volume_gib, true)
    error_message = "chain_volume_iops must be at most 500 for each GiB of chain_volume_gib, as EBS has it."
  }
}

variable "chain_volume_throughput" {
  description = "MiB per second of the chain's volume: 125 are free."
  type        = number
  default     = 250
  nullable    = false

  validation {
    condition     = var.chain_volume_throughput >= 125 && var.chain_volume_throughput <= 1000 && var.chain_volume_throughput <= var.chain_volume_iops / 4 && floor(var.chain_volume_throughput) == var.chain_volume_throughput
    error_message = "chain_volume_throughput must be a whole number from 125, which are free, to 1000, and at most a quarter of chain_volume_iops."
  }
}

variable "chain_volume_initialization_rate" {
  description = "MiB per second at which EBS fetches the chain from its snapshot as soon as the volume is made, paid for each GiB; null to fetch a block when it is first read, which a node notices for hours."
  type        = number
  default     = null

  validation {
    condition     = var.chain_volume_initialization_rate == null || try(var.chain_volume_initialization_rate >= 100 && var.chain_volume_initialization_rate <= 300 && floor(var.chain_volume_initialization_rate) == var.chain_volume_initialization_rate, false)
    error_message = "chain_volume_initialization_rate must be a whole number from 100 to 300, or null to fetch blocks as they are read."
  }
}

variable "chain_snapshot_id" {
  description = "Start the chain from this snapshot and not from the image's; it has to be encrypted."
  type        = string
  default     = null

  validation {
    condition     = var.chain_snapshot_id == null || can(regex("^snap-[0-9a-f]{8,17}$", var.chain_snapshot_id))
    error_message = "chain_snapshot_id must be the id of a snapshot, such as snap-0123456789abcdef0, or null for the image's."
  }
}

variable "kms_key_arn" {
  description = "Key for the volumes, the identity's included, whose policy lets Auto Scaling's service role use it; null for the account's default key of EBS."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (no alias), such as arn:aws:kms:eu-central-1:111122223333:key/…, or null for the account's default key."
  }
}
