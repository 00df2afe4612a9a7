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

run "every_metric_of_an_alarm_is_collected_and_shown" {
  command = apply

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.this : strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "\"${alarm.metric_name}\"")
    ])
    error_message = "the dashboard lacks a metric that an alarm is about"
  }

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.this :
      contains(concat(local.chain_metrics, local.stack_metrics, ["disk_used_percent", "mem_available_percent"]), alarm.metric_name)
      if alarm.namespace == "T0rnAgent"
    ])
    error_message = "an alarm on a metric that nothing collects"
  }
}

run "the_collector_reads_the_exporter_and_marks_what_it_reads" {
  command = apply

  assert {
    condition     = yamldecode(local.scrape_config).scrape_configs[0].static_configs[0] == { targets = ["127.0.0.1:9733"], labels = { stack = "t0rn-ec1-dev" } }
    error_message = local.scrape_config
  }

  assert {
    condition     = jsondecode(local.cloudwatch_config).metrics.append_dimensions.AutoScalingGroupName == "$${aws:AutoScalingGroupName}"
    error_message = local.cloudwatch_config
  }

  assert {
    condition     = alltrue([for rule in jsondecode(local.cloudwatch_config).logs.metrics_collected.prometheus.emf_processor.metric_declaration : rule.label_matcher == "^t0rn-ec1-dev$"])
    error_message = local.cloudwatch_config
  }
}

run "whatever_instance_the_group_starts_is_configured" {
  command = apply

  assert {
    condition     = one(aws_ssm_association.collect.targets).key == "tag:aws:autoscaling:groupName" && one(aws_ssm_association.collect.targets).values == tolist(["t0rn-ec1-dev-collator"])
    error_message = jsonencode(aws_ssm_association.collect.targets)
  }
}

run "a_run_that_failed_is_repeated" {
  command = apply

  assert {
    condition     = aws_ssm_association.collect.schedule_expression == "rate(30 minutes)" && aws_ssm_association.collect.apply_only_at_cron_interval != true
    error_message = "one failure at the first boot leaves an instance without metrics"
  }
}

run "the_log_does_not_live_for_ever" {
  command = plan

  # The role of t0rn-collator writes to this group alone.
  assert {
    condition     = aws_cloudwatch_log_group.metrics.name == "/t0rn-agent/t0rn-ec1-dev/metrics"
    error_message = aws_cloudwatch_log_group.metrics.name
  }

  assert {
    condition     = aws_cloudwatch_log_group.metrics.retention_in_days == 30
    error_message = "retention"
  }
}
