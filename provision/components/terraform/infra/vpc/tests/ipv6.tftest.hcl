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
}

run "ipv6_lets_nobody_in" {
  command = apply

  variables {
    ipv6_enabled = true
  }

  assert {
    condition     = alltrue([for route in aws_route.private_ipv6 : route.egress_only_gateway_id == aws_egress_only_internet_gateway.this[0].id])
    error_message = "a private subnet is reached over IPv6"
  }

  assert {
    condition     = aws_subnet.private["eu-central-1b"].ipv6_cidr_block == "2a05:d014:123:4501::/64"
    error_message = "got ${aws_subnet.private["eu-central-1b"].ipv6_cidr_block}"
  }
}
