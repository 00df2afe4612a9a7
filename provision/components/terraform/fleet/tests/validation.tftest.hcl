mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:111122223333:t0rn-agent-fleet-alarms" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/t0rn-agent-fleet-ec1-rolling-update" }
  }

  mock_resource "aws_oam_sink" {
    defaults = { arn = "arn:aws:oam:eu-central-1:111122223333:sink/0123" }
  }
}

variables {
  tenant       = "t0rn"
  environment  = "ec1"
  stage        = "dev"
  region       = "eu-central-1"
  alarm_emails = ["ops@t0rn.io"]
}

run "a_short_region_is_refused" {
  command         = plan
  expect_failures = [var.region]

  variables {
    region = "ec1"
  }
}

run "a_role_that_is_no_role_is_refused" {
  command         = plan
  expect_failures = [var.role_arn]

  variables {
    role_arn = "arn:aws:iam::111122223333:user/somebody"
  }
}

run "a_boundary_that_is_no_policy_is_refused" {
  command         = plan
  expect_failures = [var.permissions_boundary_arn]

  variables {
    permissions_boundary_arn = "arn:aws:iam::111122223333:role/boundary"
  }
}

run "a_prefix_of_amazon_s_is_refused" {
  command         = plan
  expect_failures = [var.prefix]

  variables {
    prefix = "aws-t0rn"
  }
}

run "a_prefix_with_a_slash_is_refused" {
  command         = plan
  expect_failures = [var.prefix]

  variables {
    prefix = "t0rn/agent"
  }
}

run "no_collators_are_refused" {
  command         = plan
  expect_failures = [var.collators]

  variables {
    collators = 0
  }
}

run "half_a_collator_is_refused" {
  command         = plan
  expect_failures = [var.collators]

  variables {
    collators = 1.5
  }
}

run "a_short_region_of_the_dashboard_is_refused" {
  command         = plan
  expect_failures = [var.dashboard_regions]

  variables {
    dashboard_regions = ["ew1"]
  }
}

run "an_account_id_without_its_zeros_is_refused" {
  command         = plan
  expect_failures = [var.source_account_ids]

  variables {
    source_account_ids = ["12345678"]
  }
}

run "a_sink_that_is_none_is_refused" {
  command         = plan
  expect_failures = [var.monitoring_sink_arn]

  variables {
    monitoring_sink_arn = "arn:aws:oam:eu-central-1:111122223333:link/0123"
  }
}

run "an_address_that_takes_no_mail_is_refused" {
  command         = plan
  expect_failures = [var.alarm_emails]

  variables {
    alarm_emails = ["ops"]
  }
}

run "a_topic_that_is_no_topic_is_refused" {
  command         = plan
  expect_failures = [var.alarm_topic_arns]

  variables {
    alarm_topic_arns = ["arn:aws:sqs:eu-central-1:111122223333:q"]
  }
}

run "a_disk_threshold_of_100_is_refused" {
  command         = plan
  expect_failures = [var.thresholds]

  variables {
    thresholds = { disk_used_percent = 100 }
  }
}

run "a_peers_threshold_of_0_is_refused" {
  command         = plan
  expect_failures = [var.thresholds]

  variables {
    thresholds = { peers = 0 }
  }
}

run "an_account_that_monitors_and_is_monitored_is_refused" {
  command         = plan
  expect_failures = [var.monitoring_sink_arn]

  variables {
    monitoring_sink_arn = "arn:aws:oam:eu-central-1:111122223333:sink/0123"
    source_account_ids  = ["444455556666"]
  }
}

run "a_topic_of_another_region_is_refused" {
  command = plan

  variables {
    alarm_topic_arns = ["arn:aws:sns:eu-west-1:111122223333:pager"]
  }

  expect_failures = [var.alarm_topic_arns]
}

run "a_sink_of_another_region_is_refused" {
  command = plan

  variables {
    monitoring_sink_arn = "arn:aws:oam:eu-west-1:111122223333:sink/0123"
  }

  expect_failures = [var.monitoring_sink_arn]
}

run "a_boundary_of_another_partition_is_refused" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws-cn:iam::111122223333:policy/boundary"
  }

  expect_failures = [var.permissions_boundary_arn]
}
