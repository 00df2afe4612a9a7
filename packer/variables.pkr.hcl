# The settings of a bake. Everything without a default has to be given; `packer/bake` fills in most of it.

variable "name" {
  type        = string
  description = "Which chain this is: part of the AMI's name and its tag t0rn-agent:name."
  default     = "t0rn-collator"
  validation {
    condition     = regex_replace(var.name, "^[a-z0-9][a-z0-9-]{0,62}$", "good") == "good"
    error_message = "The name is 1 to 63 lower-case letters, digits and dashes, as in t0rn-collator."
  }
}

variable "agent_deb" {
  type        = string
  description = "The agent's Debian package: make deb."
  validation {
    condition     = regex_replace(var.agent_deb, "^.+\\.deb$", "good") == "good"
    error_message = "The agent_deb is the path of a Debian package: make deb, then target/debian/t0rn-agent_VERSION_ARCHITECTURE.deb."
  }
}

variable "agent_config" {
  type        = string
  description = "The agent.toml of the collator, with which the chain is synced. It does not stay in the image."
  validation {
    condition     = regex_replace(var.agent_config, "^.+\\.toml$", "good") == "good"
    error_message = "The agent_config is the path of an agent.toml; try it with: t0rn-agent config check FILE."
  }
}

variable "downloads" {
  type        = string
  description = "The folder of Amazon's agents that packer/fetch filled, and verified."
  validation {
    condition     = var.downloads != ""
    error_message = "The downloads are the folder that packer/fetch fills: packer/fetch DIR."
  }
}

# The chain: where it starts, and when it is good enough.

variable "source_chain_snapshot" {
  type        = string
  description = "The chain's snapshot of the previous image, to go on from. Empty: the first bake."
  default     = ""
  validation {
    condition     = regex_replace(var.source_chain_snapshot, "^(snap-[0-9a-f]{8,17})?$", "good") == "good"
    error_message = "The source_chain_snapshot is the id of an EBS snapshot, as in snap-0123456789abcdef0, or empty for a first bake."
  }
}

variable "seed_url" {
  type        = string
  description = "For a first bake: an archive (.tar, .tar.gz, .tar.zst) of the chain's data directory. Empty: from genesis."
  default     = ""
  validation {
    condition     = regex_replace(var.seed_url, "^(https?://[^[:space:]]+\\.(tar|tar\\.gz|tar\\.zst))?$", "good") == "good"
    error_message = "The seed_url is the http(s) address of a .tar, .tar.gz or .tar.zst, or empty to sync from genesis."
  }
}

variable "seed_sha256" {
  type        = string
  description = "The SHA-256 of what lies at seed_url. Nothing that was not checked becomes a chain."
  default     = ""
  validation {
    condition     = regex_replace(var.seed_sha256, "^([0-9a-f]{64})?$", "good") == "good"
    error_message = "The seed_sha256 is 64 lower-case hexadecimal digits, as sha256sum prints them; seed_url needs one."
  }
}

variable "within" {
  type        = number
  description = "Both chains have to be within so many blocks of the network's height."
  default     = 20
  validation {
    condition     = var.within >= 1 && var.within <= 10000 && floor(var.within) == var.within
    error_message = "Within is a whole number of blocks from 1 to 10000."
  }
}

variable "credible" {
  type        = string
  description = "How long that height has to have been credible: peers, and a chain that moves."
  default     = "2m"
  validation {
    condition     = regex_replace(var.credible, "^[1-9][0-9]{0,5}(s|m|h)$", "good") == "good"
    error_message = "Credible is a duration such as 30s, 2m or 1h; nothing is credible at once."
  }
}

variable "deadline" {
  type        = string
  description = "A bake that is not done by then fails. Credentials have to live as long."
  default     = "3h"
  validation {
    condition     = regex_replace(var.deadline, "^[1-9][0-9]{0,5}(s|m|h)$", "good") == "good"
    error_message = "The deadline is a duration such as 45m or 3h."
  }
}

# Where it is baked.

variable "region" {
  type    = string
  default = "eu-central-1"
  validation {
    condition     = regex_replace(var.region, "^[a-z]{2,4}(-[a-z]+)+-[0-9]$", "good") == "good"
    error_message = "The region is that of an AWS account, as in eu-central-1."
  }
}

variable "architecture" {
  type        = string
  description = "The processors of the image, as EC2 names them. The node's image and the agent's package have to be built for them."
  default     = "x86_64"
  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The architecture is x86_64 or arm64."
  }
}

variable "instance_type" {
  type        = string
  description = "The builder, with 4 GiB of memory or more. For arm64, packer/bake takes m7g.large."
  default     = "m6a.large"
  validation {
    condition     = regex_replace(var.instance_type, "^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", "good") == "good"
    error_message = "The instance_type is as in m6a.large, for the image's architecture."
  }
}

variable "source_ami" {
  type        = string
  description = "The base, a Debian 12. Empty: the newest of 136693071363, Debian's account in the partition aws; in another partition, give one."
  default     = ""
  validation {
    condition     = regex_replace(var.source_ami, "^(ami-[0-9a-f]{8,17})?$", "good") == "good"
    error_message = "The source_ami is an AMI's id, as in ami-0123456789abcdef0, or empty for Debian's newest 12."
  }
}

variable "root_device" {
  type        = string
  description = "The root device of the base, as its mapping names it. Debian's is /dev/xvda."
  default     = "/dev/xvda"
  validation {
    condition     = regex_replace(var.root_device, "^/dev/(xvda|sda1)$", "good") == "good"
    error_message = "The root_device is /dev/xvda or /dev/sda1."
  }
}

variable "root_gib" {
  type    = number
  default = 12
  validation {
    condition     = var.root_gib >= 8 && var.root_gib <= 16384 && floor(var.root_gib) == var.root_gib
    error_message = "The root volume has from 8 to 16384 GiB, a whole number; it holds the system and the collator's image."
  }
}

variable "chain_gib" {
  type        = number
  description = "Not smaller than source_chain_snapshot; the file system grows with it."
  default     = 200
  validation {
    condition     = var.chain_gib >= 1 && var.chain_gib <= 16384 && floor(var.chain_gib) == var.chain_gib
    error_message = "The chain volume has from 1 to 16384 GiB, a whole number."
  }
}

variable "kms_key_id" {
  type        = string
  description = "The key of both volumes. Empty: the account's default, with which an image cannot be shared."
  default     = ""
  validation {
    condition     = regex_replace(var.kms_key_id, "^(arn:aws[a-z-]*:kms:.+|alias/.+|[0-9a-f-]{36})?$", "good") == "good"
    error_message = "The kms_key_id is a key's id, its ARN, or alias/NAME; empty for the account's default."
  }
}

variable "subnet_id" {
  type        = string
  description = "Where the builder runs. Empty: the default VPC."
  default     = ""
  validation {
    condition     = regex_replace(var.subnet_id, "^(subnet-[0-9a-f]{8,17})?$", "good") == "good"
    error_message = "The subnet_id is as in subnet-0123456789abcdef0, or empty for the default VPC."
  }
}

variable "instance_profile" {
  type        = string
  description = "Needed with ssh_interface = session_manager: a profile with AmazonSSMManagedInstanceCore."
  default     = ""
}

variable "ssh_interface" {
  type        = string
  description = "How the builder is reached. packer/bake chooses session_manager where it has SUBNET and PROFILE."
  default     = "public_ip"
  validation {
    condition     = contains(["public_ip", "private_ip", "session_manager"], var.ssh_interface)
    error_message = "The ssh_interface is public_ip, private_ip or session_manager."
  }
}

variable "ssh_source_cidrs" {
  type        = list(string)
  description = "Who reaches port 22 of the builder. Empty: this machine, by its public address (public_ip, asked of checkip.amazonaws.com) or its private one (private_ip); with session_manager the port is closed."
  default     = []
  validation {
    condition     = length([for cidr in var.ssh_source_cidrs : cidr if regex_replace(cidr, "^[0-9a-f:.]+/[0-9]{1,3}$", "good") != "good" || regex_replace(cidr, "/0$", "") != cidr]) == 0
    error_message = "The ssh_source_cidrs are networks, as in [\"10.0.0.0/8\"], and not the whole internet."
  }
}

variable "security_group_id" {
  type        = string
  description = "A security group of the builder's VPC in the place of a temporary one. Empty: a temporary one."
  default     = ""
  validation {
    condition     = regex_replace(var.security_group_id, "^(sg-[0-9a-f]{8,17})?$", "good") == "good"
    error_message = "The security_group_id is as in sg-0123456789abcdef0, or empty for a temporary group."
  }
}

variable "user_data_file" {
  type        = string
  description = "User-data of the builder: packer/bake writes one that installs the agent of Systems Manager for session_manager."
  default     = ""
}

variable "tags" {
  type        = map(string)
  description = "Further tags of everything that is made."
  default     = {}
}

# For tests: an emulated EC2, and a machine of one's own in the place of the instance.

variable "custom_endpoint_ec2" {
  type    = string
  default = ""
  validation {
    condition     = regex_replace(var.custom_endpoint_ec2, "^(http://127\\.0\\.0\\.1:[0-9]+)?$", "good") == "good"
    error_message = "The custom_endpoint_ec2 is an emulator on 127.0.0.1, or empty for AWS."
  }
}

variable "chain_volume" {
  type        = string
  description = "Where a machine of the image looks for the chain: none is for tests, whose machine has it mounted."
  default     = "LABEL=t0rn-chain"
  validation {
    condition     = contains(["LABEL=t0rn-chain", "none"], var.chain_volume)
    error_message = "The chain_volume is LABEL=t0rn-chain, or none for a test."
  }
}

variable "ssh_host" {
  type    = string
  default = ""
}

variable "ssh_username" {
  type    = string
  default = "admin"
}

variable "ssh_private_key_file" {
  type    = string
  default = ""
}

variable "before_validation" {
  type        = string
  description = "A command that runs as root between cleaning and validation, to see what validation finds."
  default     = ""
}

variable "output" {
  type        = string
  description = "The folder into which the manifest and the certificate are written."
  default     = "target/bake"
}
