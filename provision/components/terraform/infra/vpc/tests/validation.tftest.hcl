mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  tenant             = "t0rn"
  audit_trail_arn    = "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit"
  environment        = "ec1"
  stage              = "dev"
  region             = "eu-central-1"
  availability_zones = ["eu-central-1a"]
}

run "refuses_a_short_name_for_a_region" {
  command = plan

  variables {
    region             = "ec1"
    availability_zones = ["ec1"]
  }

  expect_failures = [var.region]
}

run "refuses_a_role_by_name" {
  command = plan

  variables {
    role_arn = "t0rn-apply"
  }

  expect_failures = [var.role_arn]
}

run "refuses_a_boundary_by_name" {
  command = plan

  variables {
    permissions_boundary_arn = "boundary"
  }

  expect_failures = [var.permissions_boundary_arn]
}

run "refuses_a_zone_of_another_region" {
  command = plan

  variables {
    availability_zones = ["us-east-1a"]
  }

  expect_failures = [var.availability_zones]
}

run "refuses_an_unknown_number_of_nat_gateways" {
  command = plan

  variables {
    nat_gateways = "two"
  }

  expect_failures = [var.nat_gateways]
}

run "refuses_instances_that_nobody_can_reach" {
  command = plan

  variables {
    nat_gateways        = "none"
    interface_endpoints = ["ssm"]
  }

  expect_failures = [var.nat_gateways]
}

run "refuses_an_endpoint_of_another_service" {
  command = plan

  variables {
    interface_endpoints = ["s3"]
  }

  expect_failures = [var.interface_endpoints]
}

run "refuses_flow_logs_to_nowhere" {
  command = plan

  variables {
    flow_logs = "firehose"
  }

  expect_failures = [var.flow_logs]
}

run "refuses_a_retention_that_cloudwatch_does_not_know" {
  command = plan

  variables {
    flow_logs_retention_days = 45
  }

  expect_failures = [var.flow_logs_retention_days]
}

run "refuses_the_alias_of_a_key" {
  command = plan

  variables {
    kms_key_arn = "alias/flow-logs"
  }

  expect_failures = [var.kms_key_arn]
}

run "refuses_no_zone" {
  command = plan

  variables {
    availability_zones = []
  }

  expect_failures = [var.availability_zones]
}

run "refuses_a_zone_that_is_null" {
  command = plan

  variables {
    availability_zones = [null]
  }

  expect_failures = [var.availability_zones]
}

run "refuses_a_key_of_another_region" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/1234"
  }

  expect_failures = [var.kms_key_arn]
}

run "refuses_a_trail_of_another_partition" {
  command = plan

  variables {
    audit_trail_arn = "arn:aws-cn:cloudtrail:cn-north-1:111122223333:trail/audit"
  }

  expect_failures = [var.audit_trail_arn]
}

run "takes_a_trail_of_another_region" {
  command = plan

  variables {
    audit_trail_arn = "arn:aws:cloudtrail:us-east-1:111122223333:trail/audit"
  }
}

run "refuses_a_range_of_the_acl_with_a_zero_before_its_prefix" {
  command = plan

  variables {
    network_acl_cidr_blocks = ["10.0.0.0/08"]
  }

  expect_failures = [var.network_acl_cidr_blocks]
}

run "refuses_everybody_in_the_acl" {
  command = plan

  variables {
    network_acl_cidr_blocks = ["0.0.0.0/0"]
  }

  expect_failures = [var.network_acl_cidr_blocks]
}
