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

run "refuses_an_empty_architecture" {
  command = plan

  variables {
    architecture = ""
  }

  expect_failures = [var.architecture]
}

run "refuses_an_empty_fence" {
  command = plan

  variables {
    identity_fence = ""
  }

  expect_failures = [var.identity_fence]
}

run "refuses_no_instance_type" {
  command = plan

  variables {
    instance_types = []
  }

  expect_failures = [var.instance_types]
}

run "refuses_an_instance_type_that_is_null" {
  command = plan

  variables {
    instance_types = [null]
  }

  expect_failures = [var.instance_types]
}

run "refuses_no_subnet" {
  command = plan

  variables {
    private_subnet_ids = {}
  }

  expect_failures = [var.private_subnet_ids]
}

run "refuses_a_range_of_peers_that_is_null" {
  command = plan

  variables {
    p2p_port        = 33333
    p2p_cidr_blocks = [null]
  }

  expect_failures = [var.p2p_cidr_blocks]
}
