data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

module "label" {
  source = "../modules/label"

  tenant      = var.tenant
  environment = var.environment
  stage       = var.stage
  region      = var.region
  name        = "collator"
  tags        = var.tags
}

module "user_data" {
  source = "../modules/user-data"

  collator_image   = var.collator_image
  collator_command = var.collator_command
  collator_env     = var.collator_env
  collator_ports   = var.collator_ports
  collator_mounts  = var.collator_mounts
  chains           = var.chains
  agent_lists      = var.agent_lists

  agent_settings = merge(
    var.agent_settings,
    { ec2 = merge(lookup(var.agent_settings, "ec2", {}), { lifecycle_hook = local.hook }) },
    var.identity_fence == null ? {} : {
      identity = { required = "true", volume = var.identity_volume_id, mount = "/var/lib/t0rn-identity", without_volume = var.identity_fence }
    },
  )
}

locals {
  id         = module.label.id
  hook       = "stop-collator"
  tags       = module.label.tags
  account_id = data.aws_caller_identity.this.account_id
  partition  = data.aws_partition.this.partition

  from_medium = ["medium", "large", "xlarge", "2xlarge"]
  from_large  = ["large", "xlarge", "2xlarge", "4xlarge"]

  # Types with 4 GiB and more, of the families that exist today; C and the like have 2 GiB a core, so they begin at large.
  families = merge(
    { for name in ["t3", "t3a"] : name => { architecture = "x86_64", sizes = local.from_medium } },
    { for name in ["t4g"] : name => { architecture = "arm64", sizes = local.from_medium } },
    { for name in ["m5", "m5a", "m6i", "m6a", "m7i", "m7a", "c5", "c5a", "c6i", "c6a", "c7i", "c7a", "r5", "r5a", "r6i", "r6a", "r7i", "r7a"] : name => { architecture = "x86_64", sizes = local.from_large } },
    { for name in ["m6g", "m7g", "m8g", "c6g", "c7g", "c8g", "r6g", "r7g", "r8g"] : name => { architecture = "arm64", sizes = local.from_large } },
  )

  family       = split(".", var.instance_types[0])[0]
  architecture = local.families[local.family].architecture
}

# There is no ingress: the way to the instance is Session Manager, which the instance itself calls.
resource "aws_security_group" "this" {
  name        = local.id
  description = "The collator of ${module.label.stack}"
  vpc_id      = var.vpc_id

  tags = local.tags
}

resource "aws_vpc_security_group_egress_rule" "this" {
  #checkov:skip=CKV_AWS_382:Peers listen on whatever ports they like, and there is no list of their addresses.
  for_each = { ipv4 = "0.0.0.0/0", ipv6 = "::/0" }

  security_group_id = aws_security_group.this.id
  description       = "Peers, AWS and the registry over ${each.key}"
  ip_protocol       = "-1"
  cidr_ipv4         = each.key == "ipv4" ? each.value : null
  cidr_ipv6         = each.key == "ipv6" ? each.value : null

  tags = merge(local.tags, { Name = "${local.id}-${each.key}" })
}

resource "aws_vpc_security_group_ingress_rule" "p2p" {
  for_each = var.p2p_cidr_blocks

  security_group_id = aws_security_group.this.id
  description       = "Peers"
  ip_protocol       = "tcp"
  from_port         = var.p2p_port
  to_port           = var.p2p_port
  cidr_ipv4         = each.key

  tags = merge(local.tags, { Name = "${local.id}-p2p" })
}
