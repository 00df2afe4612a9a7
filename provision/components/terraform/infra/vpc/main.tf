data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

module "label" {
  source = "../../modules/label"

  tenant      = var.tenant
  environment = var.environment
  stage       = var.stage
  region      = var.region
  name        = "vpc"
  tags        = var.tags
}

module "cidr_plan" {
  source = "../../modules/cidr-plan"

  cidr_block         = var.cidr_block
  availability_zones = var.availability_zones
  ipv6_cidr_block    = var.ipv6_enabled ? aws_vpc.this.ipv6_cidr_block : null
}

locals {
  id    = module.label.id
  tags  = module.label.tags
  zones = toset(var.availability_zones)
}

resource "aws_vpc" "this" {
  cidr_block                       = var.cidr_block
  assign_generated_ipv6_cidr_block = var.ipv6_enabled
  enable_dns_support               = true
  enable_dns_hostnames             = true

  tags = local.tags
}

# Without rules: whatever is started without a security group of its own reaches nothing and is not reached.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id

  tags = merge(local.tags, { Name = "${local.id}-default-closed" })
}

# Without routes, for the same reason.
resource "aws_default_route_table" "this" {
  default_route_table_id = aws_vpc.this.default_route_table_id
  route                  = []

  tags = merge(local.tags, { Name = "${local.id}-default-empty" })
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id

  tags = local.tags
}

resource "aws_egress_only_internet_gateway" "this" {
  count = var.ipv6_enabled ? 1 : 0

  vpc_id = aws_vpc.this.id

  tags = local.tags
}

# NAT gateways live here and nothing else; they bring their own addresses.
resource "aws_subnet" "public" {
  for_each = local.zones

  vpc_id                          = aws_vpc.this.id
  availability_zone               = each.key
  cidr_block                      = module.cidr_plan.public[each.key]
  ipv6_cidr_block                 = module.cidr_plan.public_ipv6[each.key]
  map_public_ip_on_launch         = false
  assign_ipv6_address_on_creation = false

  tags = merge(local.tags, { Name = "${local.id}-public-${each.key}" })
}

resource "aws_subnet" "private" {
  for_each = local.zones

  vpc_id                          = aws_vpc.this.id
  availability_zone               = each.key
  cidr_block                      = module.cidr_plan.private[each.key]
  ipv6_cidr_block                 = module.cidr_plan.private_ipv6[each.key]
  map_public_ip_on_launch         = false
  assign_ipv6_address_on_creation = var.ipv6_enabled

  tags = merge(local.tags, { Name = "${local.id}-private-${each.key}" })
}
