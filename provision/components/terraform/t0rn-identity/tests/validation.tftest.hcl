mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  tenant            = "t0rn"
  environment       = "ec1"
  stage             = "dev"
  region            = "eu-central-1"
  availability_zone = "eu-central-1a"
}

run "refuses_a_short_name_for_a_region" {
  command = plan

  variables {
    region            = "ec1"
    availability_zone = "ec1a"
  }

  expect_failures = [var.region]
}

run "refuses_a_zone_of_another_region" {
  command = plan

  variables {
    availability_zone = "us-east-1a"
  }

  expect_failures = [var.availability_zone]
}

run "refuses_a_volume_for_a_chain" {
  command = plan

  variables {
    size_gib = 200
  }

  expect_failures = [var.size_gib]
}

run "refuses_half_a_gibibyte" {
  command = plan

  variables {
    size_gib = 1.5
  }

  expect_failures = [var.size_gib]
}

run "refuses_the_alias_of_a_key" {
  command = plan

  variables {
    kms_key_arn = "alias/identity"
  }

  expect_failures = [var.kms_key_arn]
}

run "refuses_a_time_in_words" {
  command = plan

  variables {
    snapshot_time = "half past three"
  }

  expect_failures = [var.snapshot_time]
}

run "refuses_to_keep_no_snapshot" {
  command = plan

  variables {
    snapshots_kept = 0
  }

  expect_failures = [var.snapshots_kept]
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
