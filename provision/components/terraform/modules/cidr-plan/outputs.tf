output "private" {
  description = "Range of the private subnet, by zone."
  value       = { for zone, index in local.index : zone => cidrsubnet(var.cidr_block, 4, index) }
}

output "public" {
  description = "Range of the public subnet, by zone."
  value       = { for zone, index in local.index : zone => cidrsubnet(var.cidr_block, 4, index + length(local.letters)) }
}

output "private_ipv6" {
  description = "IPv6 range of the private subnet, by zone; null without IPv6."
  value       = { for zone, index in local.index : zone => var.ipv6_cidr_block == null ? null : cidrsubnet(var.ipv6_cidr_block, 8, index) }
}

output "public_ipv6" {
  description = "IPv6 range of the public subnet, by zone; null without IPv6."
  value = {
    for zone, index in local.index : zone => var.ipv6_cidr_block == null ? null : cidrsubnet(var.ipv6_cidr_block, 8, index + length(local.letters))
  }
}
