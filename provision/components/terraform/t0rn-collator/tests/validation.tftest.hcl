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

run "refuses_a_short_name_for_a_region" {
  command = plan

  variables {
    region = "ec1"
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

run "refuses_a_vpc_by_name" {
  command = plan

  variables {
    vpc_id = "t0rn-ec1-dev-vpc"
  }

  expect_failures = [var.vpc_id]
}

run "refuses_a_subnet_by_name" {
  command = plan

  variables {
    private_subnet_ids = { eu-central-1b = "private" }
  }

  expect_failures = [var.private_subnet_ids]
}

run "refuses_a_zone_without_a_subnet" {
  command = plan

  variables {
    availability_zone = "eu-central-1c"
  }

  expect_failures = [var.availability_zone]
}

run "refuses_an_identity_by_name" {
  command = plan

  variables {
    identity_volume_id = "identity"
  }

  expect_failures = [var.identity_volume_id]
}

run "refuses_an_unknown_fence" {
  command = plan

  variables {
    identity_fence = "collator"
  }

  expect_failures = [var.identity_fence]
}

run "refuses_an_image_by_name_as_its_id" {
  command = plan

  variables {
    ami_id   = "t0rn-collator-1"
    ami_name = null
  }

  expect_failures = [var.ami_id]
}

run "refuses_two_images" {
  command = plan

  variables {
    ami_id = "ami-0123456789abcdef0"
  }

  expect_failures = [var.ami_id]
}

run "refuses_no_image" {
  command = plan

  variables {
    ami_name = null
  }

  expect_failures = [var.ami_id]
}

run "refuses_a_parameter_without_a_path" {
  command = plan

  variables {
    ami_ssm_parameter = "image"
    ami_name          = null
  }

  expect_failures = [var.ami_ssm_parameter]
}

run "refuses_every_image_there_is" {
  command = plan

  variables {
    ami_name = "*"
  }

  expect_failures = [var.ami_name]
}

run "refuses_an_image_of_anybody" {
  command = plan

  variables {
    ami_owners = ["all"]
  }

  expect_failures = [var.ami_owners]
}

run "refuses_a_type_that_does_not_exist" {
  command = plan

  variables {
    instance_types = ["c6.large"]
  }

  expect_failures = [var.instance_types]
}

run "refuses_a_type_too_small" {
  command = plan

  variables {
    instance_types = ["t3a.micro"]
  }

  expect_failures = [var.instance_types]
}

run "refuses_several_types_on_demand" {
  command = plan

  variables {
    instance_types = ["t3a.medium", "t3.medium"]
  }

  expect_failures = [var.instance_types]
}

run "refuses_types_of_two_architectures" {
  command = plan

  variables {
    instance_types = ["t3a.medium", "t4g.medium"]
    spot           = true
  }

  expect_failures = [var.instance_types]
}

run "refuses_types_of_another_architecture" {
  command = plan

  variables {
    architecture   = "arm64"
    instance_types = ["m7a.large"]
  }

  expect_failures = [var.instance_types]
}

run "refuses_an_unknown_architecture" {
  command = plan

  variables {
    architecture = "aarch64"
  }

  expect_failures = [var.architecture]
}

run "refuses_unknown_credits" {
  command = plan

  variables {
    cpu_credits = "some"
  }

  expect_failures = [var.cpu_credits]
}

run "refuses_a_price_without_spot" {
  command = plan

  variables {
    spot_max_price = "0.05"
  }

  expect_failures = [var.spot_max_price]
}

run "refuses_a_price_in_words" {
  command = plan

  variables {
    spot           = true
    spot_max_price = "cheap"
  }

  expect_failures = [var.spot_max_price]
}

run "refuses_no_grace" {
  command = plan

  variables {
    health_check_grace_seconds = 0
  }

  expect_failures = [var.health_check_grace_seconds]
}

run "refuses_no_warmup" {
  command = plan

  variables {
    instance_warmup_seconds = 0
  }

  expect_failures = [var.instance_warmup_seconds]
}

run "refuses_a_stop_in_no_time" {
  command = plan

  variables {
    termination_seconds = 30
  }

  expect_failures = [var.termination_seconds]
}

run "refuses_ssh" {
  command = plan

  variables {
    p2p_port        = 22
    p2p_cidr_blocks = ["10.10.0.0/18"]
  }

  expect_failures = [var.p2p_port]
}

run "refuses_a_port_for_nobody" {
  command = plan

  variables {
    p2p_port = 33333
  }

  expect_failures = [var.p2p_cidr_blocks]
}

run "refuses_a_peer_that_is_no_range" {
  command = plan

  variables {
    p2p_port        = 33333
    p2p_cidr_blocks = ["everybody"]
  }

  expect_failures = [var.p2p_cidr_blocks]
}

run "refuses_an_identity_among_the_settings" {
  command = plan

  variables {
    agent_settings = { identity = { required = "false" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_a_hook_among_the_settings" {
  command = plan

  variables {
    agent_settings = { ec2 = { lifecycle_hook = "another" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_half_a_port" {
  command = plan

  variables {
    p2p_port        = 33333.5
    p2p_cidr_blocks = ["10.10.0.0/18"]
  }

  expect_failures = [var.p2p_port]
}

run "refuses_a_peer_within_its_range" {
  command = plan

  variables {
    p2p_port        = 33333
    p2p_cidr_blocks = ["10.10.1.0/18"]
  }

  expect_failures = [var.p2p_cidr_blocks]
}

run "refuses_a_peer_with_zeros" {
  command = plan

  variables {
    p2p_port        = 33333
    p2p_cidr_blocks = ["10.010.0.0/18"]
  }

  expect_failures = [var.p2p_cidr_blocks]
}

run "refuses_half_a_second" {
  command = plan

  variables {
    termination_seconds = 600.5
  }

  expect_failures = [var.termination_seconds]
}

run "refuses_a_wait_shorter_than_a_clean_stop" {
  command = plan

  variables {
    termination_seconds = 300
  }

  expect_failures = [var.termination_seconds]
}

run "refuses_a_wait_shorter_than_the_stop_that_is_set" {
  command = plan

  variables {
    agent_settings = { collator = { stop_timeout = "9m60s" } }
  }

  expect_failures = [var.termination_seconds]
}

run "refuses_a_type_twice" {
  command = plan

  variables {
    spot           = true
    instance_types = ["t3a.medium", "t3a.medium"]
  }

  expect_failures = [var.instance_types]
}

run "null_is_the_default" {
  command = plan

  variables {
    termination_protection = null
    tags                   = null
    instance_types         = null
    termination_seconds    = null
    collator_env           = null
  }

  assert {
    condition     = aws_launch_template.this.disable_api_termination && aws_launch_template.this.instance_type == "t3a.medium"
    error_message = "null took the protection away"
  }
}
