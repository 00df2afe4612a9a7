output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "cidr_block" {
  description = "The VPC's IPv4 range."
  value       = aws_vpc.this.cidr_block
}

output "private_subnet_ids" {
  description = "Private subnet, by zone."
  value       = { for zone, subnet in aws_subnet.private : zone => subnet.id }
}

output "public_subnet_ids" {
  description = "Public subnet, by zone."
  value       = { for zone, subnet in aws_subnet.public : zone => subnet.id }
}

output "nat_public_ips" {
  description = "Addresses from which the private subnets are seen outside, by zone of the gateway."
  value       = { for zone, address in aws_eip.nat : zone => address.public_ip }
}

output "flow_logs_destination" {
  description = "The bucket's name or the log group's; null without flow logs."
  value       = one(concat(aws_s3_bucket.flow_logs[*].bucket, aws_cloudwatch_log_group.flow_logs[*].name))
}
