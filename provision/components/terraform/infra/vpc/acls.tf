locals {
  # Replies come to a high port, from wherever the private subnets call; so do peers, where a port is open for them.
  from_anywhere = [
    { protocol = "tcp", from = 1024, to = 65535 },
    { protocol = "udp", from = 1024, to = 65535 },
    { protocol = "icmp", from = 0, to = 0 },
  ]
  ingress = concat(
    [for index, block in concat([var.cidr_block], sort(var.network_acl_cidr_blocks)) : { number = 100 + index, protocol = "-1", from = 0, to = 0, ipv4 = block, ipv6 = null }],
    [for index, rule in local.from_anywhere : merge(rule, { number = 200 + index, ipv4 = "0.0.0.0/0", ipv6 = null })],
    [for index, rule in local.from_anywhere : merge(rule, { number = 300 + index, protocol = rule.protocol == "icmp" ? "58" : rule.protocol, ipv4 = null, ipv6 = "::/0" }) if var.ipv6_enabled],
  )
  egress = concat(
    [{ number = 100, ipv4 = "0.0.0.0/0", ipv6 = null }],
    [for block in ["::/0"] : { number = 101, ipv4 = null, ipv6 = block } if var.ipv6_enabled],
  )
}

# A second fence, where a security group is too wide: no low port is reached from outside of the network.
resource "aws_network_acl" "this" {
  #checkov:skip=CKV_AWS_231:3389 is a high port as any other: replies come to it. Security groups have no way in.
  vpc_id     = aws_vpc.this.id
  subnet_ids = concat([for subnet in aws_subnet.private : subnet.id], [for subnet in aws_subnet.public : subnet.id])

  dynamic "ingress" {
    for_each = local.ingress
    content {
      rule_no         = ingress.value.number
      action          = "allow"
      protocol        = ingress.value.protocol
      from_port       = ingress.value.from
      to_port         = ingress.value.to
      icmp_type       = contains(["icmp", "58"], ingress.value.protocol) ? -1 : 0
      icmp_code       = contains(["icmp", "58"], ingress.value.protocol) ? -1 : 0
      cidr_block      = ingress.value.ipv4
      ipv6_cidr_block = ingress.value.ipv6
    }
  }

  dynamic "egress" {
    for_each = local.egress
    content {
      rule_no         = egress.value.number
      action          = "allow"
      protocol        = "-1"
      from_port       = 0
      to_port         = 0
      cidr_block      = egress.value.ipv4
      ipv6_cidr_block = egress.value.ipv6
    }
  }

  tags = local.tags
}

# Without rules: a subnet that is made without an ACL of its own reaches nothing and is not reached. Ours have left it by then.
resource "aws_default_network_acl" "this" {
  default_network_acl_id = aws_vpc.this.default_network_acl_id

  tags = merge(local.tags, { Name = "${local.id}-default-closed" })

  depends_on = [aws_network_acl.this]
}
