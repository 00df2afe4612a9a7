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

run "metadata_is_for_the_host_alone" {
  command = plan

  assert {
    condition     = one(aws_launch_template.this.metadata_options).http_tokens == "required" && one(aws_launch_template.this.metadata_options).http_endpoint == "enabled"
    error_message = "IMDSv1 is on"
  }

  assert {
    condition     = one(aws_launch_template.this.metadata_options).http_put_response_hop_limit == 1
    error_message = "a container reaches the role"
  }
}

run "every_volume_is_encrypted_and_gp3" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1234"
  }

  assert {
    condition     = [for mapping in aws_launch_template.this.block_device_mappings : mapping.device_name] == ["/dev/xvda", "/dev/sdf"]
    error_message = "got ${jsonencode(aws_launch_template.this.block_device_mappings)}"
  }

  assert {
    condition = alltrue([
      for mapping in aws_launch_template.this.block_device_mappings :
      one(mapping.ebs).encrypted == "true" && one(mapping.ebs).kms_key_id == var.kms_key_arn && one(mapping.ebs).volume_type == "gp3" && one(mapping.ebs).delete_on_termination == "true"
    ])
    error_message = "got ${jsonencode(aws_launch_template.this.block_device_mappings)}"
  }
}

run "a_snapshot_brings_its_own_encryption" {
  command = plan

  variables {
    chain_snapshot_id = "snap-0123456789abcdef0"
  }

  assert {
    condition     = one(aws_launch_template.this.block_device_mappings[1].ebs).snapshot_id == "snap-0123456789abcdef0" && one(aws_launch_template.this.block_device_mappings[1].ebs).encrypted == null
    error_message = "EC2 refuses encrypted beside snapshot_id"
  }
}

run "the_chain_is_fetched_from_its_snapshot_at_the_rate_that_is_paid_for" {
  command = plan

  variables {
    chain_volume_initialization_rate = 200
  }

  assert {
    condition     = one(aws_launch_template.this.block_device_mappings[1].ebs).volume_initialization_rate == 200
    error_message = jsonencode(aws_launch_template.this.block_device_mappings)
  }
}

run "the_instance_has_no_public_address" {
  command = plan

  assert {
    condition     = one(aws_launch_template.this.network_interfaces).associate_public_ip_address == "false"
    error_message = "the instance gets a public address"
  }
}

run "nobody_is_let_in" {
  command = plan

  override_resource {
    target = aws_security_group.this
    values = { ingress = [] }

    override_during = plan
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.p2p) == 0
    error_message = "there is an ingress rule by default"
  }

  assert {
    condition     = try(length(aws_security_group.this.ingress), 0) == 0
    error_message = "an ingress rule stands in the group itself"
  }
}

run "peers_are_let_in_where_asked_for" {
  command = plan

  variables {
    p2p_port        = 33333
    p2p_cidr_blocks = ["10.10.0.0/18"]
  }

  assert {
    condition     = [for rule in aws_vpc_security_group_ingress_rule.p2p : "${rule.cidr_ipv4}:${rule.from_port}-${rule.to_port}/${rule.ip_protocol}"] == ["10.10.0.0/18:33333-33333/tcp"]
    error_message = "got ${jsonencode(aws_vpc_security_group_ingress_rule.p2p)}"
  }
}

run "protected_against_a_hand_that_slips" {
  command = plan

  assert {
    condition     = aws_launch_template.this.disable_api_termination && aws_launch_template.this.disable_api_stop
    error_message = "the instance is terminated by one click"
  }
}

run "it_may_be_without_protection" {
  command = plan

  variables {
    termination_protection = false
  }

  assert {
    condition     = !aws_launch_template.this.disable_api_termination && !aws_launch_template.this.disable_api_stop
    error_message = "the choice has no effect"
  }
}

run "spot_knows_no_protection" {
  command = plan

  variables {
    spot = true
  }

  assert {
    condition     = aws_launch_template.this.disable_api_termination == false && aws_launch_template.this.disable_api_stop == false
    error_message = "EC2 starts no Spot instance that is protected"
  }
}

run "credits_are_for_burstable_types" {
  command = plan

  assert {
    condition     = one(aws_launch_template.this.credit_specification).cpu_credits == "unlimited"
    error_message = "a t3a is without its credits"
  }
}

run "other_types_have_none" {
  command = plan

  variables {
    instance_types = ["m7a.large"]
  }

  assert {
    condition     = length(aws_launch_template.this.credit_specification) == 0 && output.instance_type == "m7a.large"
    error_message = "EC2 refuses credits for a type that knows none"
  }
}

run "everything_is_tagged" {
  command = plan

  variables {
    p2p_port        = 33333
    p2p_cidr_blocks = ["10.10.0.0/18"]
  }

  assert {
    condition = alltrue([
      for tags in concat([for rule in aws_vpc_security_group_egress_rule.this : rule.tags], [for rule in aws_vpc_security_group_ingress_rule.p2p : rule.tags], [aws_launch_template.this.tags, aws_security_group.this.tags, aws_iam_role.this.tags, aws_iam_instance_profile.this.tags], [for specification in aws_launch_template.this.tag_specifications : specification.tags]) :
      tags["Stack"] == "t0rn-ec1-dev" && tags["CostCenter"] == "collators" && startswith(tags["Name"], "t0rn-ec1-dev-collator")
    ])
    error_message = "something is without the stack's name or a cost centre"
  }

  assert {
    condition     = [for specification in aws_launch_template.this.tag_specifications : specification.resource_type] == ["instance", "volume", "network-interface"]
    error_message = "a volume or an interface is without tags"
  }
}
