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

run "refuses_a_region_for_a_zone" {
  command = plan

  variables {
    availability_zone  = "eu-central-1"
    private_subnet_ids = { eu-central-1 = "subnet-0123456789abcdef0" }
  }

  expect_failures = [var.availability_zone]
}

run "refuses_a_zone_of_another_region" {
  command = plan

  variables {
    availability_zone  = "eu-west-1a"
    private_subnet_ids = { eu-west-1a = "subnet-0123456789abcdef0" }
  }

  expect_failures = [var.availability_zone]
}

run "refuses_a_key_of_another_region" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/1234"
  }

  expect_failures = [var.kms_key_arn]
}

run "refuses_a_role_of_another_partition" {
  command = plan

  variables {
    role_arn = "arn:aws-cn:iam::111122223333:role/t0rn-apply"
  }

  expect_failures = [var.role_arn]
}

run "refuses_a_boundary_of_another_partition" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws-us-gov:iam::111122223333:policy/boundary"
  }

  expect_failures = [var.permissions_boundary_arn]
}

run "takes_the_sovereign_cloud" {
  command = plan

  variables {
    region             = "eusc-de-east-1"
    environment        = "ede1"
    availability_zone  = "eusc-de-east-1a"
    private_subnet_ids = { eusc-de-east-1a = "subnet-0123456789abcdef0" }
    role_arn           = "arn:aws-eusc:iam::111122223333:role/t0rn-apply"
  }
}
