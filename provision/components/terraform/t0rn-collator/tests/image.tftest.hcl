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

run "by_its_name_it_must_be_our_own" {
  command = plan

  assert {
    condition     = data.aws_ami.this.most_recent == true
    error_message = "of several images, none would be chosen"
  }

  assert {
    condition     = data.aws_ami.this.owners == tolist(["self"]) && contains([for filter in data.aws_ami.this.filter : one(filter.values) if filter.name == "name"], "t0rn-collator-*")
    error_message = "got ${jsonencode(data.aws_ami.this.filter)} of ${jsonencode(data.aws_ami.this.owners)}"
  }

  assert {
    condition     = aws_launch_template.this.image_id == "ami-0123456789abcdef0" && output.ami_id == "ami-0123456789abcdef0"
    error_message = "got ${aws_launch_template.this.image_id}"
  }
}

run "a_deprecated_image_of_another_account_is_found" {
  command = plan

  variables {
    ami_owners = ["444455556666"]
  }

  assert {
    condition     = data.aws_ami.this.include_deprecated == true
    error_message = "three months after its bake, the image that runs would not be found"
  }
}

run "by_its_id" {
  command = plan

  variables {
    ami_id   = "ami-00000000000000001"
    ami_name = null
  }

  assert {
    condition     = [for filter in data.aws_ami.this.filter : one(filter.values) if filter.name == "image-id"] == ["ami-00000000000000001"]
    error_message = "got ${jsonencode(data.aws_ami.this.filter)}"
  }
}

run "by_a_parameter" {
  command = plan

  variables {
    ami_ssm_parameter = "/t0rn/ec1/dev/image"
    ami_name          = null
  }

  assert {
    condition     = [for filter in data.aws_ami.this.filter : one(filter.values) if filter.name == "image-id"] == ["ami-0fedcba9876543210"]
    error_message = "got ${jsonencode(data.aws_ami.this.filter)}"
  }
}

run "refuses_an_image_for_another_architecture" {
  command = plan

  variables {
    instance_types = ["t4g.medium"]
  }

  expect_failures = [data.aws_ami.this]
}

run "an_arm64_image_starts_on_arm64_types" {
  command = plan

  variables {
    architecture   = "arm64"
    instance_types = ["t4g.medium"]
  }

  override_data {
    target = data.aws_ami.this
    values = {
      id               = "ami-0123456789abcdef0"
      architecture     = "arm64"
      root_device_name = "/dev/xvda"

      block_device_mappings = [{ device_name = "/dev/sdf", ebs = {}, no_device = "", virtual_name = "" }]
    }
  }

  assert {
    condition     = aws_launch_template.this.instance_type == "t4g.medium"
    error_message = "got ${aws_launch_template.this.instance_type}"
  }
}

run "refuses_an_arm64_image_on_x86_64_types" {
  command = plan

  override_data {
    target = data.aws_ami.this
    values = {
      id               = "ami-0123456789abcdef0"
      architecture     = "arm64"
      root_device_name = "/dev/xvda"

      block_device_mappings = [{ device_name = "/dev/sdf", ebs = {}, no_device = "", virtual_name = "" }]
    }
  }

  expect_failures = [data.aws_ami.this]
}

run "refuses_a_snapshot_that_is_not_encrypted" {
  command = plan

  variables {
    chain_snapshot_id = "snap-0123456789abcdef0"
  }

  override_data {
    target = data.aws_ebs_snapshot.chain[0]
    values = { encrypted = false }
  }

  expect_failures = [data.aws_ebs_snapshot.chain]
}

run "refuses_an_image_without_a_chain" {
  command = plan

  variables {
    chain_device = "/dev/sdg"
  }

  expect_failures = [aws_launch_template.this]
}

# A machine finds the chain by its file system's label, and formats nothing.
run "refuses_a_chain_that_begins_empty" {
  command = plan

  variables {
    chain_device     = "/dev/sdg"
    chain_volume_gib = 200
  }

  expect_failures = [aws_launch_template.this]
}

run "refuses_an_image_with_an_empty_volume" {
  command = plan

  override_data {
    target = data.aws_ami.this
    values = {
      id               = "ami-0123456789abcdef0"
      architecture     = "x86_64"
      root_device_name = "/dev/xvda"

      block_device_mappings = [{ device_name = "/dev/sdf", ebs = { volume_size = "200", snapshot_id = "" }, no_device = "", virtual_name = "" }]
    }
  }

  expect_failures = [aws_launch_template.this]
}

run "refuses_more_operations_than_the_image_s_volume_gives" {
  command = plan

  variables {
    chain_volume_iops = 16000
  }

  override_data {
    target = data.aws_ami.this
    values = {
      id               = "ami-0123456789abcdef0"
      architecture     = "x86_64"
      root_device_name = "/dev/xvda"

      block_device_mappings = [{ device_name = "/dev/sdf", ebs = { volume_size = "31" }, no_device = "", virtual_name = "" }]
    }
  }

  expect_failures = [aws_launch_template.this]
}

run "refuses_volumes_smaller_than_the_image_s" {
  command = plan

  override_data {
    target = data.aws_ami.this
    values = {
      id               = "ami-0123456789abcdef0"
      architecture     = "x86_64"
      root_device_name = "/dev/xvda"

      block_device_mappings = [
        { device_name = "/dev/xvda", ebs = { volume_size = "30" }, no_device = "", virtual_name = "" },
        { device_name = "/dev/sdf", ebs = { volume_size = "200" }, no_device = "", virtual_name = "" },
      ]
    }
  }

  variables {
    root_volume_gib  = 20
    chain_volume_gib = 200
  }

  expect_failures = [aws_launch_template.this]
}

run "refuses_a_chain_volume_smaller_than_the_image_s" {
  command = plan

  override_data {
    target = data.aws_ami.this
    values = {
      id               = "ami-0123456789abcdef0"
      architecture     = "x86_64"
      root_device_name = "/dev/xvda"

      block_device_mappings = [{ device_name = "/dev/sdf", ebs = { volume_size = "200" }, no_device = "", virtual_name = "" }]
    }
  }

  variables {
    chain_volume_gib = 199
  }

  expect_failures = [aws_launch_template.this]
}

run "refuses_a_chain_volume_smaller_than_the_snapshot" {
  command = plan

  override_data {
    target = data.aws_ebs_snapshot.chain[0]
    values = {
      encrypted   = true
      volume_size = 500
    }
  }

  variables {
    chain_snapshot_id = "snap-0123456789abcdef0"
    chain_volume_gib  = 499
  }

  expect_failures = [aws_launch_template.this]
}

run "volumes_as_large_as_the_image_s_will_do" {
  command = plan

  override_data {
    target = data.aws_ami.this
    values = {
      id               = "ami-0123456789abcdef0"
      architecture     = "x86_64"
      root_device_name = "/dev/xvda"

      block_device_mappings = [
        { device_name = "/dev/xvda", ebs = { volume_size = "20" }, no_device = "", virtual_name = "" },
        { device_name = "/dev/sdf", ebs = { volume_size = "200" }, no_device = "", virtual_name = "" },
      ]
    }
  }

  variables {
    root_volume_gib  = 20
    chain_volume_gib = 200
  }
}
