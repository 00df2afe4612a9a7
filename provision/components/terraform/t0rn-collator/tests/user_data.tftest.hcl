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

run "the_instance_gets_what_the_module_renders" {
  command = plan

  variables {
    collator_command = ["--collator"]
    agent_settings   = { health = { stall_after = "10m" } }
    agent_lists      = { update = { repositories = ["registry.example.com/t0rn/collator"] } }
  }

  assert {
    condition     = strcontains(output.agent_toml, "[update]\nrepositories = [\"registry.example.com/t0rn/collator\"]\n")
    error_message = "got ${output.agent_toml}"
  }

  assert {
    condition     = base64decode(aws_launch_template.this.user_data) == module.user_data.cloud_config && strcontains(output.agent_toml, "stall_after = \"10m\"") && strcontains(output.agent_toml, "command = [\"--collator\"]")
    error_message = "got ${output.agent_toml}"
  }

  assert {
    condition     = !strcontains(output.agent_toml, "[identity]")
    error_message = "an agent that knows no [identity] refuses the configuration"
  }
}

run "the_fence_names_the_volume" {
  command = plan

  variables {
    identity_fence = "nothing"
  }

  assert {
    condition     = strcontains(output.agent_toml, "[identity]\nmount = \"/var/lib/t0rn-identity\"\nrequired = true\nvolume = \"vol-0123456789abcdef0\"\nwithout_volume = \"nothing\"")
    error_message = "got ${output.agent_toml}"
  }
}

run "the_agent_answers_the_hook_that_there_is" {
  command = plan

  variables {
    agent_settings = { ec2 = { enabled = "true" } }
  }

  assert {
    condition     = strcontains(output.agent_toml, "[ec2]\nenabled = \"true\"\nlifecycle_hook = \"${one(aws_autoscaling_group.this.initial_lifecycle_hook).name}\"\n")
    error_message = "got ${output.agent_toml}"
  }
}

run "the_agent_learns_its_group_from_its_tags" {
  command = plan

  assert {
    condition     = one(aws_launch_template.this.metadata_options).instance_metadata_tags == "enabled"
    error_message = "the agent could not find its group: DescribeAutoScalingInstances is not among its rights"
  }
}
