variables {
  tenant      = "t0rn"
  environment = "ec1"
  stage       = "dev"
  region      = "eu-central-1"
  name        = "collator"
}

run "names_tell_stack_and_component" {
  command = plan

  assert {
    condition     = output.stack == "t0rn-ec1-dev" && output.id == "t0rn-ec1-dev-collator" && output.path == "/t0rn/ec1/dev/collator"
    error_message = "got ${output.stack}, ${output.id}, ${output.path}"
  }

  assert {
    condition     = output.tags["Name"] == "t0rn-ec1-dev-collator" && output.tags["Stack"] == "t0rn-ec1-dev" && output.tags["Stage"] == "dev"
    error_message = "got ${jsonencode(output.tags)}"
  }
}

run "another_stage_has_other_names" {
  command = plan

  variables {
    stage = "prod"
  }

  assert {
    condition     = output.id == "t0rn-ec1-prod-collator" && output.path == "/t0rn/ec1/prod/collator"
    error_message = "got ${output.id}"
  }
}

run "further_tags_are_added" {
  command = plan

  variables {
    tags = { CostCenter = "collators" }
  }

  assert {
    condition     = output.tags["CostCenter"] == "collators"
    error_message = "got ${jsonencode(output.tags)}"
  }
}

run "the_longest_name_leaves_room_for_a_suffix" {
  command = plan

  variables {
    tenant      = "abcdefgh"
    environment = "abcdefgh"
    stage       = "abcdefghij"
    name        = "abcdefghijklmnopqrst"
  }

  assert {
    condition     = length(output.id) <= 49
    error_message = "${output.id} has ${length(output.id)} characters"
  }
}

run "refuses_a_tenant_with_a_dash" {
  command = plan

  variables {
    tenant = "t0-rn"
  }

  expect_failures = [var.tenant]
}

run "refuses_an_environment_in_capitals" {
  command = plan

  variables {
    environment = "EC1"
  }

  expect_failures = [var.environment]
}

run "refuses_an_empty_stage" {
  command = plan

  variables {
    stage = ""
  }

  expect_failures = [var.stage]
}

run "refuses_a_name_with_a_slash" {
  command = plan

  variables {
    name = "collator/1"
  }

  expect_failures = [var.name]
}

run "refuses_tags_of_its_own" {
  command = plan

  variables {
    tags = { Stack = "another" }
  }

  expect_failures = [var.tags]
}

run "refuses_tags_that_belong_to_amazon" {
  command = plan

  variables {
    tags = { "aws:owner" = "me" }
  }

  expect_failures = [var.tags]
}

run "refuses_a_tag_that_metadata_cannot_tell" {
  command = plan

  variables {
    tags = { "cost center" = "collators" }
  }

  expect_failures = [var.tags]
}

run "refuses_a_tag_that_is_null" {
  command = plan

  variables {
    tags = { CostCenter = null }
  }

  expect_failures = [var.tags]
}

run "refuses_a_long_tag" {
  command = plan

  variables {
    tags = { CostCenter = join("", [for n in range(257) : "a"]) }
  }

  expect_failures = [var.tags]
}

run "refuses_a_tag_with_two_lines" {
  command = plan

  variables {
    tags = { CostCenter = "a\nb" }
  }

  expect_failures = [var.tags]
}

run "refuses_a_tag_with_a_control_character" {
  command = plan

  variables {
    tags = { CostCenter = "a\u007fb" }
  }

  expect_failures = [var.tags]
}

run "refuses_another_regions_short_name" {
  command = plan

  variables {
    environment = "ew1"
  }

  expect_failures = [var.environment]
}

run "refuses_a_region_whose_short_name_is_another" {
  command = plan

  variables {
    region = "us-east-1"
  }

  expect_failures = [var.environment]
}

run "takes_a_name_that_is_no_regions" {
  command = plan

  variables {
    environment = "fra"
  }
}

run "two_regions_of_one_short_name_may_both_have_it" {
  command = plan

  variables {
    environment = "as1"
    region      = "ap-southeast-1"
  }
}

run "the_partition_is_the_regions" {
  command = plan

  assert {
    condition     = output.partition == "aws"
    error_message = "got ${output.partition}"
  }
}

run "the_sovereign_cloud_is_a_partition" {
  command = plan

  variables {
    region      = "eusc-de-east-1"
    environment = "ede1"
  }

  assert {
    condition     = output.partition == "aws-eusc"
    error_message = "got ${output.partition}"
  }
}

run "isolated_regions_are_told_apart" {
  command = plan

  variables {
    region      = "us-isob-east-1"
    environment = "uie1"
  }

  assert {
    condition     = output.partition == "aws-iso-b"
    error_message = "got ${output.partition}"
  }
}
