variables {
  cidr_block         = "10.10.0.0/18"
  availability_zones = ["eu-central-1a", "eu-central-1b"]
}

run "each_zone_has_a_private_and_a_public_subnet" {
  command = plan

  assert {
    condition     = output.private == { eu-central-1a = "10.10.0.0/22", eu-central-1b = "10.10.4.0/22" }
    error_message = "got ${jsonencode(output.private)}"
  }

  assert {
    condition     = output.public == { eu-central-1a = "10.10.32.0/22", eu-central-1b = "10.10.36.0/22" }
    error_message = "got ${jsonencode(output.public)}"
  }
}

run "another_zone_moves_none" {
  command = plan

  variables {
    availability_zones = ["eu-central-1c", "eu-central-1b"]
  }

  assert {
    condition     = output.private["eu-central-1b"] == "10.10.4.0/22" && output.private["eu-central-1c"] == "10.10.8.0/22"
    error_message = "got ${jsonencode(output.private)}"
  }
}

run "no_two_subnets_overlap" {
  command = plan

  variables {
    availability_zones = [for letter in ["a", "b", "c", "d", "e", "f", "g", "h"] : "us-east-1${letter}"]
  }

  assert {
    condition     = length(distinct(concat(values(output.private), values(output.public)))) == 16
    error_message = "got ${jsonencode([output.private, output.public])}"
  }
}

run "the_smallest_vpc_has_the_smallest_subnets" {
  command = plan

  variables {
    cidr_block = "192.168.7.0/24"
  }

  assert {
    condition     = output.public["eu-central-1b"] == "192.168.7.144/28"
    error_message = "got ${jsonencode(output.public)}"
  }
}

run "ipv6_follows_the_same_plan" {
  command = plan

  variables {
    ipv6_cidr_block = "2a05:d014:123:4500::/56"
  }

  assert {
    condition     = output.private_ipv6["eu-central-1b"] == "2a05:d014:123:4501::/64" && output.public_ipv6["eu-central-1b"] == "2a05:d014:123:4509::/64"
    error_message = "got ${jsonencode([output.private_ipv6, output.public_ipv6])}"
  }
}

run "without_ipv6_there_is_none" {
  command = plan

  assert {
    condition     = alltrue([for range in values(output.private_ipv6) : range == null])
    error_message = "got ${jsonencode(output.private_ipv6)}"
  }
}

run "refuses_what_is_no_range" {
  command = plan

  variables {
    cidr_block = "10.10.0.0"
  }

  expect_failures = [var.cidr_block]
}

run "refuses_an_ipv6_range_as_the_first" {
  command = plan

  variables {
    cidr_block = "fd00::/18"
  }

  expect_failures = [var.cidr_block]
}

run "refuses_a_range_that_begins_within_another" {
  command = plan

  variables {
    cidr_block = "10.10.1.0/18"
  }

  expect_failures = [var.cidr_block]
}

run "refuses_a_range_too_large" {
  command = plan

  variables {
    cidr_block = "10.0.0.0/8"
  }

  expect_failures = [var.cidr_block]
}

run "refuses_a_range_too_small" {
  command = plan

  variables {
    cidr_block = "10.10.0.0/25"
  }

  expect_failures = [var.cidr_block]
}

run "refuses_public_addresses" {
  command = plan

  variables {
    cidr_block = "11.10.0.0/18"
  }

  expect_failures = [var.cidr_block]
}

run "refuses_no_zone" {
  command = plan

  variables {
    availability_zones = []
  }

  expect_failures = [var.availability_zones]
}

run "refuses_a_zone_twice" {
  command = plan

  variables {
    availability_zones = ["eu-central-1a", "eu-central-1a"]
  }

  expect_failures = [var.availability_zones]
}

run "refuses_a_region_for_a_zone" {
  command = plan

  variables {
    availability_zones = ["eu-central-1"]
  }

  expect_failures = [var.availability_zones]
}

run "refuses_a_local_zone" {
  command = plan

  variables {
    availability_zones = ["us-west-2-lax-1a"]
  }

  expect_failures = [var.availability_zones]
}

run "refuses_an_address_with_zeros" {
  command = plan

  variables {
    cidr_block = "10.010.0.0/18"
  }

  expect_failures = [var.cidr_block]
}

run "refuses_a_prefix_with_a_zero" {
  command = plan

  variables {
    cidr_block = "10.10.0.0/018"
  }

  expect_failures = [var.cidr_block]
}
