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

variable "vpc_id" {
  description = "The VPC, as the component infra/vpc puts it out."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^vpc-[0-9a-f]{8,17}$", var.vpc_id))
    error_message = "vpc_id must be the id of a VPC, such as vpc-0123456789abcdef0, as the component infra/vpc puts it out."
  }
}

variable "private_subnet_ids" {
  description = "Private subnet, by zone, as the component infra/vpc puts it out."
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.private_subnet_ids) > 0 && alltrue([for subnet in values(var.private_subnet_ids) : can(regex("^subnet-[0-9a-f]{8,17}$", subnet))])
    error_message = "private_subnet_ids must be ids of subnets by zone, at least one, such as { eu-central-1a = \"subnet-0123456789abcdef0\" }, as the component infra/vpc puts them out."
  }
}

variable "availability_zone" {
  description = "The zone of the identity volume, as the component t0rn-identity puts it out: the collator cannot be in another one."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^${var.region}[a-h]$", var.availability_zone))
    error_message = "availability_zone must be a zone of ${var.region}, such as ${var.region}a: network and identity volume are there."
  }

  validation {
    condition     = contains(keys(var.private_subnet_ids), var.availability_zone)
    error_message = "availability_zone must be a zone with a private subnet, one of: ${join(", ", keys(var.private_subnet_ids))}. The identity volume decides which; add its zone to infra/vpc's availability_zones."
  }
}

variable "identity_volume_id" {
  description = "The volume with keystore and node key, as the component t0rn-identity puts it out."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^vol-[0-9a-f]{8,17}$", var.identity_volume_id))
    error_message = "identity_volume_id must be the id of a volume, such as vol-0123456789abcdef0, as the component t0rn-identity puts it out."
  }
}

variable "identity_fence" {
  description = "What the agent does without the identity volume: nothing, or full_node (run without authority); null for no fence at all."
  type        = string
  default     = null

  validation {
    condition     = var.identity_fence == null || try(contains(["nothing", "full_node"], var.identity_fence), false)
    error_message = "identity_fence must be nothing, full_node or null."
  }
}

variable "ami_id" {
  description = "The image, by its id, in this region and of one of ami_owners; without results, bake one, or copy it here (packer/publish)."
  type        = string
  default     = null

  validation {
    condition     = var.ami_id == null || can(regex("^ami-[0-9a-f]{8,17}$", var.ami_id))
    error_message = "ami_id must be the id of an image, such as ami-0123456789abcdef0."
  }

  validation {
    condition     = length([for way in [var.ami_id, var.ami_ssm_parameter, var.ami_name] : way if way != null]) == 1
    error_message = "exactly one of ami_id, ami_ssm_parameter and ami_name must say which image it is."
  }
}

variable "ami_ssm_parameter" {
  description = "The image, by the name of an SSM parameter of the type aws:ec2:image, which has to exist: packer/publish writes it, or aws ssm put-parameter (README, step 3). A plan shows which one it is."
  type        = string
  default     = null

  validation {
    condition     = var.ami_ssm_parameter == null || can(regex("^/[A-Za-z0-9_./-]+$", var.ami_ssm_parameter))
    error_message = "ami_ssm_parameter must be a parameter's full name, such as /t0rn/ec1/dev/image."
  }
}

variable "ami_name" {
  description = "The image, by a pattern of its name; the newest one counts, and there has to be one: bake it first (packer). A plan shows which one it is."
  type        = string
  default     = null

  validation {
    condition     = var.ami_name == null || can(regex("^[A-Za-z0-9()./_-][A-Za-z0-9()./_*?-]{2,127}$", var.ami_name))
    error_message = "ami_name must be a pattern of an image's name, such as t0rn-collator-*, and not begin with the asterisk."
  }
}

variable "ami_owners" {
  description = "Whose image it may be."
  type        = list(string)
  default     = ["self"]
  nullable    = false

  validation {
    condition     = length(var.ami_owners) > 0 && alltrue([for owner in var.ami_owners : owner == "self" || can(regex("^[0-9]{12}$", owner))])
    error_message = "ami_owners must be self or numbers of accounts: an image of the right name by another account would get the collator's keys."
  }
}

variable "instance_types" {
  description = "Instance types. More than one only with spot = true, where any of them will do."
  type        = list(string)
  default     = ["t3a.medium"]
  nullable    = false

  validation {
    condition     = alltrue([for type in var.instance_types : contains(try(local.families[split(".", type)[0]].sizes, []), try(split(".", type)[1], ""))])
    error_message = "instance_types must exist and have at least 4 GiB of memory: a size from medium to 4xlarge of ${join(", ", [for name, family in local.families : name if contains(family.sizes, "medium")])}, from large of ${join(", ", [for name, family in local.families : name if !contains(family.sizes, "medium")])}."
  }

  validation {
    condition     = length(distinct([for type in var.instance_types : try(local.families[split(".", type)[0]].architecture, "unknown")])) <= 1
    error_message = "instance_types must be of one architecture, since the image is."
  }

  validation {
    condition     = var.architecture == null || try(local.families[split(".", var.instance_types[0])[0]].architecture, var.architecture) == var.architecture
    error_message = "instance_types must be ${coalesce(var.architecture, "null")}, as architecture says, and ${coalesce(try(var.instance_types[0], null), "none")} is ${try(local.families[split(".", var.instance_types[0])[0]].architecture, "unknown")}: choose other types, or set architecture = \"${try(local.families[split(".", var.instance_types[0])[0]].architecture, "unknown")}\" and take an image for it."
  }

  validation {
    condition     = length(distinct(var.instance_types)) == length(var.instance_types)
    error_message = "instance_types must name each type once."
  }

  validation {
    condition     = length(var.instance_types) == 1 || (var.spot && length(var.instance_types) > 1)
    error_message = "instance_types must be one type; several only with spot = true, where any of them will do."
  }

  validation {
    condition     = length(distinct([for type in var.instance_types : can(regex("^t[0-9]", type))])) <= 1
    error_message = "instance_types must all have CPU credits (t3, t3a, t4g), or none of them: EC2 starts no other with the template's credits, and the alarm about them would stand for ever."
  }
}

variable "architecture" {
  description = "x86_64 or arm64 (t4g, m7g and other types that end in g), to which instance_types and the image are held; null for what instance_types are. The machine image has to be baked for arm64, and the collator's container image has to have that platform."
  type        = string
  default     = null

  validation {
    condition     = var.architecture == null || try(contains(["x86_64", "arm64"], var.architecture), false)
    error_message = "architecture must be x86_64, arm64 or null."
  }
}

variable "cpu_credits" {
  description = "For burstable types: unlimited (pays for what is used beyond) or standard (slows down to the baseline, and the collator with it)."
  type        = string
  default     = "unlimited"
  nullable    = false

  validation {
    condition     = contains(["unlimited", "standard"], var.cpu_credits)
    error_message = "cpu_credits must be unlimited or standard."
  }
}

variable "spot" {
  description = "Run on spare capacity, at a third of the price, which may be taken away with two minutes' notice."
  type        = bool
  default     = false
  nullable    = false
}

variable "spot_max_price" {
  description = "The most to be paid per hour in USD, such as 0.05; null for the price on demand."
  type        = string
  default     = null

  validation {
    condition     = var.spot_max_price == null || can(regex("^[0-9]+\\.[0-9]+$", var.spot_max_price))
    error_message = "spot_max_price must be dollars per hour in quotes, such as \"0.05\", or null for the price on demand."
  }

  validation {
    condition     = var.spot_max_price == null || var.spot
    error_message = "spot_max_price has no meaning without spot = true."
  }
}

variable "detailed_monitoring" {
  description = "Let EC2 report each minute instead of each five."
  type        = bool
  default     = true
  nullable    = false
}

variable "termination_protection" {
  description = "Refuse to stop or terminate the instance by hand. Auto Scaling still may: a refresh has to. Without effect on Spot, which knows no such protection."
  type        = bool
  default     = true
  nullable    = false
}

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
  description = "Start the chain from this snapshot and not from the image's; it has to be encrypted, and its file system to bear the label t0rn-chain, as a bake gives it."
  type        = string
  default     = null

  validation {
    condition     = var.chain_snapshot_id == null || can(regex("^snap-[0-9a-f]{8,17}$", var.chain_snapshot_id))
    error_message = "chain_snapshot_id must be the id of a snapshot, such as snap-0123456789abcdef0, or null for the image's."
  }
}

variable "kms_key_arn" {
  description = "Key for the instance's volumes, whose policy lets Auto Scaling's service role use it; null for the account's default key of EBS."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:${module.label.partition}:kms:${var.region}:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key of ${var.region} (no alias), such as arn:${module.label.partition}:kms:${var.region}:111122223333:key/…, or null for the account's default key."
  }
}

variable "identity_kms_key_arn" {
  description = "Key of the identity volume, which the instance attaches: the output kms_key_arn of t0rn-identity; null or an empty text for the account's default key of EBS."
  type        = string
  default     = null

  validation {
    condition     = var.identity_kms_key_arn == null || var.identity_kms_key_arn == "" || can(regex("^arn:${module.label.partition}:kms:${var.region}:[0-9]{12}:key/.+$", var.identity_kms_key_arn))
    error_message = "identity_kms_key_arn must be the ARN of a key of ${var.region} (no alias), such as arn:${module.label.partition}:kms:${var.region}:111122223333:key/…, or null for the account's default key."
  }
}

variable "health_check_grace_seconds" {
  description = "How long a new instance may take before Auto Scaling judges it."
  type        = number
  default     = 300
  nullable    = false

  validation {
    condition     = var.health_check_grace_seconds >= 60 && var.health_check_grace_seconds <= 7200 && floor(var.health_check_grace_seconds) == var.health_check_grace_seconds
    error_message = "health_check_grace_seconds must be a whole number from 60 to 7200: too short a grace replaces an instance that is still booting."
  }
}

variable "instance_warmup_seconds" {
  description = "How long a refresh waits after a new instance before it counts it as good."
  type        = number
  default     = 300
  nullable    = false

  validation {
    condition     = var.instance_warmup_seconds >= 60 && var.instance_warmup_seconds <= 7200 && floor(var.instance_warmup_seconds) == var.instance_warmup_seconds
    error_message = "instance_warmup_seconds must be a whole number from 60 to 7200: a refresh that counts an instance as good at once notices no bad image."
  }
}

variable "termination_seconds" {
  description = "How long Auto Scaling waits for a clean stop before it terminates an instance; the agent ends the wait when it is done."
  type        = number
  default     = 600
  nullable    = false

  validation {
    condition     = var.termination_seconds >= 60 && var.termination_seconds <= 7200 && floor(var.termination_seconds) == var.termination_seconds
    error_message = "termination_seconds must be a whole number from 60 to 7200: a database that is not closed in peace may be damaged."
  }

  validation {
    condition = try(1000 * var.termination_seconds > sum([
      for part in regexall("([0-9]+)(ms|[smhd])", try(var.agent_settings["collator"]["stop_timeout"], "5m")) : tonumber(part[0]) * { ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000 }[part[1]]
    ]), true)
    error_message = "termination_seconds must be longer than the collator's stop_timeout, ${try(var.agent_settings["collator"]["stop_timeout"], "5m")}: a database that is not closed in peace may be damaged. Lengthen the one or shorten the other (agent_settings)."
  }
}

variable "p2p_port" {
  description = "Port to be open for peers; null for none, as a collator behind a NAT gateway is not reached anyway."
  type        = number
  default     = null

  validation {
    condition     = var.p2p_port == null || try(var.p2p_port >= 1024 && var.p2p_port <= 65535 && floor(var.p2p_port) == var.p2p_port, false)
    error_message = "p2p_port must be a whole number from 1024 to 65535, such as 33333, or null for no ingress."
  }
}

variable "p2p_cidr_blocks" {
  description = "Who may reach p2p_port."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for block in var.p2p_cidr_blocks : can(cidrnetmask(block))])
    error_message = "p2p_cidr_blocks must be IPv4 ranges, such as 10.10.0.0/18."
  }

  validation {
    condition     = alltrue([for block in var.p2p_cidr_blocks : try("${cidrhost(block, 0)}/${tonumber(split("/", block)[1])}" == block, true)])
    error_message = "p2p_cidr_blocks must begin at their own network's address, without zeros before a number: AWS would keep ${join(", ", [for block in var.p2p_cidr_blocks : try("${cidrhost(block, 0)}/${tonumber(split("/", block)[1])}", block) if block != null])}."
  }

  validation {
    condition     = (var.p2p_port == null) == (length(var.p2p_cidr_blocks) == 0)
    error_message = "p2p_port and p2p_cidr_blocks must be given together: a port without peers, or peers without a port, is no ingress."
  }
}

variable "collator_image" {
  description = "The collator's container image, with a tag or a digest."
  type        = string
  nullable    = false
}

variable "collator_command" {
  description = "Arguments of the image's entrypoint; with none, the image's own."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "collator_env" {
  description = "Environment of the collator; no secrets."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "collator_ports" {
  description = "Ports to publish, [ADDRESS:]HOST:CONTAINER[/PROTOCOL]; null for the agent's default."
  type        = list(string)
  default     = null
}

variable "collator_mounts" {
  description = "Further directories of the host for the container, such as the keystore."
  type        = list(object({ source = string, target = string, read_only = optional(bool, false) }))
  default     = []
  nullable    = false
}

variable "chains" {
  description = "The node's exporters, parachain and relaychain; empty for the agent's default."
  type        = map(object({ metrics = string, prefix = optional(string) }))
  default     = {}
  nullable    = false
}

variable "agent_settings" {
  description = "Further settings of the agent, as in its configuration: section, key and value, such as { health = { stall_after = \"10m\" } }."
  type        = map(map(string))
  default     = {}
  nullable    = false

  validation {
    condition     = !contains(keys(var.agent_settings), "identity")
    error_message = "agent_settings must not have the section identity: identity_volume_id and identity_fence say what belongs there."
  }

  validation {
    condition     = !can(var.agent_settings["ec2"]["lifecycle_hook"])
    error_message = "agent_settings must not have ec2.lifecycle_hook: the right name is put there."
  }
}

variable "agent_lists" {
  description = "Settings of the agent that are lists: collator.cap_add, metrics.hosts and update.repositories, such as { update = { repositories = [\"registry.example.com/t0rn/collator\"] } }."
  type        = map(map(list(string)))
  default     = {}
  nullable    = false
}
