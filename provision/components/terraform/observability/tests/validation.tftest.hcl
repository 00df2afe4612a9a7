mock_provider "aws" {
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:111122223333:t0rn-ec1-dev-alarms" }
  }

  mock_resource "aws_ssm_document" {
    defaults = { latest_version = "1" }
  }
}

variables {
  tenant                 = "t0rn"
  environment            = "ec1"
  stage                  = "dev"
  region                 = "eu-central-1"
  autoscaling_group_name = "t0rn-ec1-dev-collator"
  instance_type          = "t3a.medium"
  alarm_emails           = ["ops@t0rn.io"]
}

run "a_group_of_no_name_is_refused" {
  command         = plan
  expect_failures = [var.autoscaling_group_name]

  variables {
    autoscaling_group_name = "a b"
  }
}

run "an_instance_type_without_a_size_is_refused" {
  command         = plan
  expect_failures = [var.instance_type]

  variables {
    instance_type = "t3a"
  }
}

run "an_unknown_chain_is_refused" {
  command         = plan
  expect_failures = [var.chains]

  variables {
    chains = ["polkadot"]
  }
}

run "no_chain_at_all_is_refused" {
  command         = plan
  expect_failures = [var.chains]

  variables {
    chains = []
  }
}

run "a_relative_data_path_is_refused" {
  command         = plan
  expect_failures = [var.data_path]

  variables {
    data_path = "var/lib"
  }
}

run "an_exporter_on_another_host_is_refused" {
  command         = plan
  expect_failures = [var.exporter]

  variables {
    exporter = "10.0.0.1:9733"
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

run "a_memory_threshold_of_0_is_refused" {
  command         = plan
  expect_failures = [var.thresholds]

  variables {
    thresholds = { memory_available_percent = 0 }
  }
}

run "a_peers_threshold_of_0_is_refused" {
  command         = plan
  expect_failures = [var.thresholds]

  variables {
    thresholds = { peers = 0 }
  }
}

run "a_retention_that_cloudwatch_does_not_know_is_refused" {
  command         = plan
  expect_failures = [var.retention_days]

  variables {
    retention_days = 42
  }
}

run "refuses_an_address_with_two_lines" {
  command = plan

  variables {
    alarm_emails = ["ops@t0rn.io\nops@example.org"]
  }

  expect_failures = [var.alarm_emails]
}

run "refuses_an_address_with_an_end_of_line" {
  command = plan

  variables {
    alarm_emails = ["ops@t0rn.io\n"]
  }

  expect_failures = [var.alarm_emails]
}

run "a_topic_of_another_region_is_refused" {
  command = plan

  variables {
    alarm_topic_arns = ["arn:aws:sns:eu-west-1:111122223333:pager"]
  }

  expect_failures = [var.alarm_topic_arns]
}
