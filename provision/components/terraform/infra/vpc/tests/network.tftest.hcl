mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  tenant             = "t0rn"
  audit_trail_arn    = "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit"
  environment        = "ec1"
  stage              = "dev"
  region             = "eu-central-1"
  availability_zones = ["eu-central-1a", "eu-central-1b"]
  tags               = { CostCenter = "collators" }
}

run "a_private_and_a_public_subnet_in_each_zone" {
  command = plan

  assert {
    condition     = { for zone, subnet in aws_subnet.private : zone => subnet.cidr_block } == { eu-central-1a = "10.10.0.0/22", eu-central-1b = "10.10.4.0/22" }
    error_message = "got ${jsonencode({ for zone, subnet in aws_subnet.private : zone => subnet.cidr_block })}"
  }

  assert {
    condition     = length(aws_subnet.public) == 2 && alltrue([for zone, subnet in aws_subnet.public : subnet.availability_zone == zone])
    error_message = "a zone has no public subnet of its own"
  }
}

run "private_subnets_have_no_way_in" {
  command = apply

  assert {
    condition = alltrue([
      for zone in var.availability_zones :
      aws_route_table_association.private[zone].subnet_id == aws_subnet.private[zone].id && aws_route_table_association.private[zone].route_table_id == aws_route_table.private[zone].id && aws_route_table.private[zone].id != aws_route_table.public.id
    ]) && join(" ", keys(aws_route_table_association.private)) == join(" ", var.availability_zones)
    error_message = "a private subnet is not in the private route table of its zone"
  }

  assert {
    condition     = alltrue([for zone, route in aws_route.private_ipv4 : route.route_table_id == aws_route_table.private[zone].id && route.nat_gateway_id == aws_nat_gateway.this["eu-central-1a"].id])
    error_message = "a private subnet goes out by another way than a NAT gateway"
  }
}

run "nothing_gets_a_public_address" {
  command = plan

  assert {
    condition     = alltrue([for subnet in concat(values(aws_subnet.private), values(aws_subnet.public)) : subnet.map_public_ip_on_launch == false])
    error_message = "a subnet gives its instances public addresses"
  }
}

run "the_default_security_group_has_no_rule" {
  command = apply

  assert {
    condition     = aws_default_security_group.this.vpc_id == aws_vpc.this.id && try(length(aws_default_security_group.this.ingress), 0) == 0 && try(length(aws_default_security_group.this.egress), 0) == 0
    error_message = "the default security group is open"
  }
}

run "one_nat_gateway_serves_every_zone" {
  command = plan

  assert {
    condition     = keys(aws_nat_gateway.this) == ["eu-central-1a"] && keys(aws_route.private_ipv4) == ["eu-central-1a", "eu-central-1b"]
    error_message = "got gateways in ${jsonencode(keys(aws_nat_gateway.this))}, routes of ${jsonencode(keys(aws_route.private_ipv4))}"
  }
}

run "a_nat_gateway_of_its_own_for_each_zone" {
  command = apply

  variables {
    nat_gateways = "per_az"
  }

  assert {
    condition     = alltrue([for zone in var.availability_zones : aws_route.private_ipv4[zone].nat_gateway_id == aws_nat_gateway.this[zone].id])
    error_message = "a zone goes out through another zone"
  }
}

run "no_nat_gateway_means_no_route_out" {
  command = plan

  variables {
    nat_gateways        = "none"
    interface_endpoints = ["ssm", "ssmmessages", "ec2messages", "ec2", "autoscaling"]
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_eip.nat) == 0 && length(aws_route.private_ipv4) == 0
    error_message = "something of a NAT gateway is left"
  }

  assert {
    condition     = keys(aws_vpc_endpoint.interface) == ["autoscaling", "ec2", "ec2messages", "ssm", "ssmmessages"] && alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled])
    error_message = "got endpoints ${jsonencode(keys(aws_vpc_endpoint.interface))}"
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints[0].cidr_ipv4 == var.cidr_block && aws_vpc_security_group_ingress_rule.endpoints[0].to_port == 443
    error_message = "endpoints are open to more than HTTPS from the VPC"
  }
}

run "s3_is_reached_without_a_nat_gateway" {
  command = apply

  assert {
    condition     = aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway" && length(aws_vpc_endpoint.s3.route_table_ids) == 2 && aws_vpc_endpoint.s3.service_name == "com.amazonaws.eu-central-1.s3"
    error_message = "a private route table is without the endpoint of S3"
  }
}

run "the_default_network_acl_has_no_rule_and_no_subnet" {
  command = apply

  assert {
    condition     = length(aws_default_network_acl.this.ingress) == 0 && length(aws_default_network_acl.this.egress) == 0 && length(coalesce(aws_default_network_acl.this.subnet_ids, [])) == 0
    error_message = "a subnet without an ACL of its own would be open"
  }

  assert {
    condition     = length(aws_network_acl.this.subnet_ids) == 4
    error_message = "a subnet is left in the closed default"
  }
}

run "no_low_port_is_reached_from_outside" {
  command = plan

  variables {
    ipv6_enabled            = true
    network_acl_cidr_blocks = ["192.168.0.0/16"]
  }

  assert {
    condition = alltrue([
      for rule in aws_network_acl.this.ingress : contains(["10.10.0.0/18", "192.168.0.0/16"], coalesce(rule.cidr_block, "-")) || rule.from_port >= 1024 || contains(["icmp", "58"], rule.protocol)
    ])
    error_message = jsonencode(aws_network_acl.this.ingress)
  }

  assert {
    condition     = length(distinct([for rule in aws_network_acl.this.ingress : rule.rule_no])) == length(aws_network_acl.this.ingress) && length([for rule in aws_network_acl.this.ingress : rule if rule.ipv6_cidr_block == "::/0"]) == 3
    error_message = jsonencode(aws_network_acl.this.ingress)
  }
}

run "the_s3_endpoint_reaches_named_buckets_and_the_account_s" {
  command = plan

  variables {
    s3_bucket_names = ["seed-of-a-chain"]
  }

  assert {
    condition = [for statement in jsondecode(aws_vpc_endpoint.s3.policy).Statement : statement.Sid if contains(flatten([statement.Resource]), "*")] == ["BucketsOfThisAccount"] && [
      for statement in jsondecode(aws_vpc_endpoint.s3.policy).Statement : statement.Condition if statement.Sid == "BucketsOfThisAccount"
    ] == [{ StringEquals = { "aws:ResourceAccount" = "111122223333" } }]
    error_message = aws_vpc_endpoint.s3.policy
  }

  assert {
    condition     = anytrue([for statement in jsondecode(aws_vpc_endpoint.s3.policy).Statement : contains(flatten([statement.Resource]), "arn:aws:s3:::seed-of-a-chain/*") && !contains(flatten([statement.Action]), "s3:PutObject")])
    error_message = aws_vpc_endpoint.s3.policy
  }
}

run "an_account_without_encryption_by_default_is_told" {
  command         = plan
  expect_failures = [check.ebs_encryption_by_default]

  override_data {
    target = data.aws_ebs_encryption_by_default.this
    values = { enabled = false }
  }
}

run "an_account_without_a_trail_is_told" {
  command         = plan
  expect_failures = [check.audit_trail]

  variables {
    audit_trail_arn = null
  }
}

run "everything_is_tagged" {
  command = plan

  variables {
    interface_endpoints = ["ssm"]
  }

  assert {
    condition = alltrue([
      for tags in concat(
        [aws_vpc.this.tags, aws_default_security_group.this.tags, aws_default_route_table.this.tags, aws_default_network_acl.this.tags, aws_network_acl.this.tags, aws_internet_gateway.this.tags, aws_route_table.public.tags],
        [aws_vpc_endpoint.s3.tags, aws_security_group.endpoints[0].tags, aws_vpc_security_group_ingress_rule.endpoints[0].tags, aws_s3_bucket.flow_logs[0].tags, aws_flow_log.s3[0].tags],
        [for x in aws_subnet.private : x.tags], [for x in aws_subnet.public : x.tags], [for x in aws_route_table.private : x.tags],
        [for x in aws_eip.nat : x.tags], [for x in aws_nat_gateway.this : x.tags], [for x in aws_vpc_endpoint.interface : x.tags],
      ) : tags["Stack"] == "t0rn-ec1-dev" && tags["CostCenter"] == "collators" && startswith(tags["Name"], "t0rn-ec1-dev-")
    ])
    error_message = "something is without the stack's name, a cost centre, or a name of its own"
  }
}

run "another_stack_has_other_names" {
  command = plan

  variables {
    stage               = "prod"
    flow_logs           = "cloudwatch"
    interface_endpoints = ["ssm"]
  }

  assert {
    condition     = aws_vpc.this.tags["Name"] == "t0rn-ec1-prod-vpc" && aws_iam_role.flow_logs[0].name == "t0rn-ec1-prod-vpc-flow-logs" && aws_cloudwatch_log_group.flow_logs[0].name == "/t0rn-ec1-prod/flow-logs" && aws_security_group.endpoints[0].name == "t0rn-ec1-prod-vpc-endpoints"
    error_message = "two stacks of one account would share a name"
  }
}
