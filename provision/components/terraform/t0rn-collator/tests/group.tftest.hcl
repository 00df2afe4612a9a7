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

run "one_instance_in_the_zone_of_its_identity" {
  command = plan

  assert {
    condition     = aws_autoscaling_group.this.min_size == 1 && aws_autoscaling_group.this.max_size == 1 && aws_autoscaling_group.this.desired_capacity == 1
    error_message = "there may be two collators, or none"
  }

  assert {
    condition     = aws_autoscaling_group.this.vpc_zone_identifier == toset(["subnet-0fedcba9876543210"])
    error_message = "got ${jsonencode(aws_autoscaling_group.this.vpc_zone_identifier)}"
  }
}

run "nothing_starts_a_second_one_beside_it" {
  command = plan

  assert {
    condition     = contains(aws_autoscaling_group.this.suspended_processes, "AZRebalance") && aws_autoscaling_group.this.capacity_rebalance == false
    error_message = "Auto Scaling may start the next instance while the last one still runs"
  }

  assert {
    condition     = length(aws_autoscaling_group.this.instance_maintenance_policy) == 0
    error_message = "a maintenance policy may overlap"
  }
}

run "a_refresh_ends_the_old_one_first" {
  command = plan

  assert {
    condition     = one(one(aws_autoscaling_group.this.instance_refresh).preferences).min_healthy_percentage == 0
    error_message = "a refresh waits for ever with one instance"
  }
}

# The provider gives the group its new template before it starts the refresh: that is what Auto Scaling would go back to.
run "a_refresh_promises_no_way_back" {
  command = plan

  assert {
    condition     = one(one(aws_autoscaling_group.this.instance_refresh).preferences).auto_rollback == false
    error_message = "it would start the same template once more"
  }
}

run "a_new_template_is_a_new_version_of_the_group" {
  command = apply

  assert {
    condition     = one(aws_autoscaling_group.this.launch_template).version == tostring(aws_launch_template.this.latest_version) && one(aws_autoscaling_group.this.launch_template).id == aws_launch_template.this.id
    error_message = "the group would not see a new version"
  }
}

run "the_collator_is_stopped_before_the_instance_ends" {
  command = plan

  assert {
    condition = [for hook in aws_autoscaling_group.this.initial_lifecycle_hook : "${hook.lifecycle_transition} ${hook.heartbeat_timeout} ${hook.default_result}"] == ["autoscaling:EC2_INSTANCE_TERMINATING 600 CONTINUE"]

    error_message = "got ${jsonencode(aws_autoscaling_group.this.initial_lifecycle_hook)}"
  }
}

run "spot_takes_whichever_type_there_is" {
  command = apply

  variables {
    spot           = true
    spot_max_price = "0.05"
    instance_types = ["t3a.medium", "t3.medium", "t3a.large"]
  }

  assert {
    condition     = one(one(aws_autoscaling_group.this.mixed_instances_policy).instances_distribution).on_demand_percentage_above_base_capacity == 0 && one(one(aws_autoscaling_group.this.mixed_instances_policy).instances_distribution).spot_max_price == "0.05"
    error_message = "got ${jsonencode(aws_autoscaling_group.this.mixed_instances_policy)}"
  }

  assert {
    condition     = [for override in one(one(aws_autoscaling_group.this.mixed_instances_policy).launch_template).override : override.instance_type] == ["t3a.medium", "t3.medium", "t3a.large"] && length(aws_autoscaling_group.this.launch_template) == 0
    error_message = "got ${jsonencode(aws_autoscaling_group.this.mixed_instances_policy)}"
  }

  assert {
    condition     = one(one(one(aws_autoscaling_group.this.mixed_instances_policy).launch_template).launch_template_specification).version == tostring(aws_launch_template.this.latest_version)
    error_message = "the group would not see a new version"
  }
}

run "its_tags_go_to_the_instance" {
  command = plan

  assert {
    condition     = alltrue([for tag in aws_autoscaling_group.this.tag : tag.propagate_at_launch]) && { for tag in aws_autoscaling_group.this.tag : tag.key => tag.value }["Stack"] == "t0rn-ec1-dev"
    error_message = "got ${jsonencode(aws_autoscaling_group.this.tag)}"
  }
}

run "another_stack_has_other_names" {
  command = plan

  variables {
    stage = "prod"
  }

  assert {
    condition = alltrue([
      for name in [aws_autoscaling_group.this.name, aws_launch_template.this.name, aws_iam_role.this.name, aws_iam_instance_profile.this.name, aws_security_group.this.name] : name == "t0rn-ec1-prod-collator"
    ])
    error_message = "two stacks of one account would share a name"
  }
}

run "refuses_types_with_and_without_credits" {
  command = plan

  variables {
    spot           = true
    instance_types = ["t3a.large", "m6a.large"]
  }

  expect_failures = [var.instance_types]
}
