mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  tenant             = "t0rn"
  environment        = "ec1"
  stage              = "dev"
  region             = "eu-central-1"
  tags               = { CostCenter = "collators" }
  vpc_id             = "vpc-0123456789abcdef0"
  private_subnet_ids = { eu-central-1a = "subnet-0123456789abcdef0", eu-central-1b = "subnet-0fedcba9876543210" }
  availability_zone  = "eu-central-1b"
  identity_volume_id = "vol-0123456789abcdef0"
  ami_name           = "t0rn-collator-*"
  collator_image     = "3h4xx/t0rn-collator:v1.2.0-rc.4"
}

run "refuses_a_root_volume_for_a_chain" {
  command = plan

  variables {
    root_volume_gib = 1000
  }

  expect_failures = [var.root_volume_gib]
}

run "refuses_the_root_device_for_the_chain" {
  command = plan

  variables {
    chain_device = "/dev/xvda"
  }

  expect_failures = [var.chain_device]
}

run "refuses_a_chain_volume_too_small" {
  command = plan

  variables {
    chain_volume_gib = 1
  }

  expect_failures = [var.chain_volume_gib]
}

run "refuses_too_few_operations" {
  command = plan

  variables {
    chain_volume_iops = 1000
  }

  expect_failures = [var.chain_volume_iops]
}

run "refuses_more_throughput_than_operations_give" {
  command = plan

  variables {
    chain_volume_throughput = 1000
  }

  expect_failures = [var.chain_volume_throughput]
}

run "refuses_a_snapshot_by_name" {
  command = plan

  variables {
    chain_snapshot_id = "chain"
  }

  expect_failures = [var.chain_snapshot_id]
}

run "refuses_the_alias_of_a_key" {
  command = plan

  variables {
    kms_key_arn = "alias/ebs"
  }

  expect_failures = [var.kms_key_arn]
}

run "refuses_an_alias_for_the_identity_s_key" {
  command = plan

  variables {
    identity_kms_key_arn = "alias/identity"
  }

  expect_failures = [var.identity_kms_key_arn]
}

run "refuses_half_an_operation" {
  command = plan

  variables {
    chain_volume_iops = 3000.5
  }

  expect_failures = [var.chain_volume_iops]
}

run "refuses_more_operations_than_the_size_gives" {
  command = plan

  variables {
    chain_volume_gib  = 10
    chain_volume_iops = 5001
  }

  expect_failures = [var.chain_volume_iops]
}

run "refuses_an_initialization_rate_that_ebs_does_not_know" {
  command         = plan
  expect_failures = [var.chain_volume_initialization_rate]

  variables {
    chain_volume_initialization_rate = 50
  }
}
