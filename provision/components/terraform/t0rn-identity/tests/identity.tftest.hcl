mock_provider "aws" {
  source = "./tests/mocks"

  # Nothing can be applied here: it could not be destroyed afterwards.
  override_during = plan
}

variables {
  tenant            = "t0rn"
  environment       = "ec1"
  stage             = "dev"
  region            = "eu-central-1"
  availability_zone = "eu-central-1a"
  tags              = { CostCenter = "collators" }
}

run "the_volume_is_encrypted_and_held_by_one" {
  command = plan

  assert {
    condition     = aws_ebs_volume.this.encrypted && aws_ebs_volume.this.type == "gp3" && aws_ebs_volume.this.multi_attach_enabled == false
    error_message = "the identity may be read, or held by two"
  }

  assert {
    condition     = aws_ebs_volume.this.final_snapshot == true
    error_message = "a volume that is given up leaves nothing behind"
  }

  assert {
    condition     = aws_ebs_volume.this.availability_zone == "eu-central-1a" && output.availability_zone == "eu-central-1a"
    error_message = "got ${aws_ebs_volume.this.availability_zone}"
  }
}

run "snapshots_are_of_this_stack_alone" {
  command = plan

  assert {
    condition     = one(aws_dlm_lifecycle_policy.this.policy_details).target_tags == tomap({ "t0rn-agent:identity" = "t0rn-ec1-dev-identity" }) && aws_ebs_volume.this.tags["t0rn-agent:identity"] == "t0rn-ec1-dev-identity"
    error_message = "snapshots are made of another volume, or of none"
  }

  assert {
    condition     = one(one(one(aws_dlm_lifecycle_policy.this.policy_details).schedule).retain_rule).count == 14 && aws_dlm_lifecycle_policy.this.state == "ENABLED"
    error_message = "snapshots are not kept as asked for"
  }
}

run "snapshots_are_made_once_a_day" {
  command = plan

  assert {
    condition     = [for rule in one(one(aws_dlm_lifecycle_policy.this.policy_details).schedule).create_rule : "${rule.interval} ${rule.interval_unit} ${join(" ", rule.times)}"] == ["24 HOURS 03:30"]
    error_message = jsonencode(aws_dlm_lifecycle_policy.this.policy_details)
  }
}

run "snapshots_bear_the_tag_that_keeps_other_roles_away" {
  command = plan

  # image-pipeline denies what is made of a snapshot with this tag.
  assert {
    condition     = one(one(aws_dlm_lifecycle_policy.this.policy_details).schedule).tags_to_add["t0rn-agent:identity-snapshot"] == "t0rn-ec1-dev-identity"
    error_message = jsonencode(aws_dlm_lifecycle_policy.this.policy_details)
  }
}

run "only_the_lifecycle_manager_of_this_account_assumes_its_role" {
  command = plan

  assert {
    condition     = [for statement in jsondecode(aws_iam_role.snapshots.assume_role_policy).Statement : [statement.Effect, statement.Principal, statement.Condition]] == [["Allow", { Service = "dlm.amazonaws.com" }, { StringEquals = { "aws:SourceAccount" = "111122223333" } }]]
    error_message = aws_iam_role.snapshots.assume_role_policy
  }
}

run "its_role_can_do_nothing_else" {
  command = plan

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.snapshots.policy).Statement :
      !anytrue([for action in flatten([statement.Action]) : strcontains(action, "*")]) && (statement.Sid == "Look" || statement.Resource == aws_ebs_volume.this.arn || can(statement.Condition.StringEquals))
    ])
    error_message = "got ${aws_iam_role_policy.snapshots.policy}"
  }

  assert {
    condition = alltrue([
      for action in flatten([for statement in jsondecode(aws_iam_role_policy.snapshots.policy).Statement : statement.Action if statement.Resource == "*"]) : startswith(action, "ec2:Describe")
    ])
    error_message = "more than looking is allowed everywhere"
  }
}

run "everything_is_tagged" {
  command = plan

  assert {
    condition     = alltrue([for tags in [aws_ebs_volume.this.tags, aws_iam_role.snapshots.tags, aws_dlm_lifecycle_policy.this.tags, one(one(aws_dlm_lifecycle_policy.this.policy_details).schedule).tags_to_add] : tags["Stack"] == "t0rn-ec1-dev" && tags["CostCenter"] == "collators"])
    error_message = "something is without the stack's name or a cost centre"
  }
}

run "a_key_and_a_boundary_of_ones_own" {
  command = plan

  variables {
    kms_key_arn              = "arn:aws:kms:eu-central-1:111122223333:key/1234"
    permissions_boundary_arn = "arn:aws:iam::111122223333:policy/boundary"
  }

  assert {
    condition     = aws_ebs_volume.this.kms_key_id == var.kms_key_arn && output.kms_key_arn == var.kms_key_arn && aws_iam_role.snapshots.permissions_boundary == var.permissions_boundary_arn
    error_message = "the key or the boundary is not used"
  }
}

run "another_stack_has_other_names" {
  command = plan

  variables {
    stage = "prod"
  }

  assert {
    condition     = aws_iam_role.snapshots.name == "t0rn-ec1-prod-identity-snapshots" && aws_ebs_volume.this.tags["t0rn-agent:identity"] == "t0rn-ec1-prod-identity"
    error_message = "two stacks of one account would share a name"
  }
}
