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

run "every_alarm_has_a_target_and_takes_silence_for_a_fault" {
  command = apply

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : alarm.treat_missing_data == "breaching"])
    error_message = "an alarm that silence does not raise"
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : contains(alarm.alarm_actions, module.alarm_topic.arn) && contains(alarm.ok_actions, module.alarm_topic.arn)])
    error_message = "an alarm without a recipient"
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : alarm.actions_enabled])
    error_message = "an alarm whose actions are switched off"
  }

  assert {
    condition = join(" ", keys(output.alarms)) == join(" ", [
      "agent-heartbeat", "cpu-credits", "disk-data", "disk-root", "in-service", "memory", "parachain-behind",
      "parachain-peers", "relaychain-behind", "relaychain-peers", "status-check",
    ])
    error_message = "alarms: ${jsonencode(keys(output.alarms))}"
  }
}

run "a_failed_status_check_is_an_alarm" {
  command = apply

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["status-check"].namespace == "AWS/EC2" && aws_cloudwatch_metric_alarm.this["status-check"].metric_name == "StatusCheckFailed" && aws_cloudwatch_metric_alarm.this["status-check"].comparison_operator == "GreaterThanThreshold" && aws_cloudwatch_metric_alarm.this["status-check"].threshold == 0 && aws_cloudwatch_metric_alarm.this["status-check"].dimensions == tomap({ AutoScalingGroupName = "t0rn-ec1-dev-collator" })
    error_message = jsonencode(aws_cloudwatch_metric_alarm.this["status-check"])
  }
}

run "no_instance_in_service_is_an_alarm" {
  command = apply

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["in-service"].namespace == "AWS/AutoScaling" && aws_cloudwatch_metric_alarm.this["in-service"].metric_name == "GroupInServiceInstances" && aws_cloudwatch_metric_alarm.this["in-service"].comparison_operator == "LessThanThreshold" && aws_cloudwatch_metric_alarm.this["in-service"].threshold == 1 && aws_cloudwatch_metric_alarm.this["in-service"].dimensions == tomap({ AutoScalingGroupName = "t0rn-ec1-dev-collator" })
    error_message = jsonencode(aws_cloudwatch_metric_alarm.this["in-service"])
  }
}

run "a_full_root_disk_is_an_alarm" {
  command = apply

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["disk-root"].namespace == "T0rnAgent" && aws_cloudwatch_metric_alarm.this["disk-root"].metric_name == "disk_used_percent" && aws_cloudwatch_metric_alarm.this["disk-root"].comparison_operator == "GreaterThanThreshold" && aws_cloudwatch_metric_alarm.this["disk-root"].threshold == 85 && aws_cloudwatch_metric_alarm.this["disk-root"].dimensions == tomap({ AutoScalingGroupName = "t0rn-ec1-dev-collator", path = "/" })
    error_message = jsonencode(aws_cloudwatch_metric_alarm.this["disk-root"])
  }
}

run "a_full_data_disk_is_an_alarm" {
  command = apply

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["disk-data"].namespace == "T0rnAgent" && aws_cloudwatch_metric_alarm.this["disk-data"].metric_name == "disk_used_percent" && aws_cloudwatch_metric_alarm.this["disk-data"].comparison_operator == "GreaterThanThreshold" && aws_cloudwatch_metric_alarm.this["disk-data"].threshold == 85 && aws_cloudwatch_metric_alarm.this["disk-data"].dimensions == tomap({ AutoScalingGroupName = "t0rn-ec1-dev-collator", path = "/var/lib/t0rn-collator" })
    error_message = jsonencode(aws_cloudwatch_metric_alarm.this["disk-data"])
  }
}

run "little_memory_is_an_alarm" {
  command = apply

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["memory"].namespace == "T0rnAgent" && aws_cloudwatch_metric_alarm.this["memory"].metric_name == "mem_available_percent" && aws_cloudwatch_metric_alarm.this["memory"].comparison_operator == "LessThanThreshold" && aws_cloudwatch_metric_alarm.this["memory"].threshold == 5 && aws_cloudwatch_metric_alarm.this["memory"].dimensions == tomap({ AutoScalingGroupName = "t0rn-ec1-dev-collator" })
    error_message = jsonencode(aws_cloudwatch_metric_alarm.this["memory"])
  }
}

run "few_cpu_credits_are_an_alarm" {
  command = apply

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["cpu-credits"].namespace == "AWS/EC2" && aws_cloudwatch_metric_alarm.this["cpu-credits"].metric_name == "CPUCreditBalance" && aws_cloudwatch_metric_alarm.this["cpu-credits"].comparison_operator == "LessThanThreshold" && aws_cloudwatch_metric_alarm.this["cpu-credits"].threshold == 30 && aws_cloudwatch_metric_alarm.this["cpu-credits"].dimensions == tomap({ AutoScalingGroupName = "t0rn-ec1-dev-collator" })
    error_message = jsonencode(aws_cloudwatch_metric_alarm.this["cpu-credits"])
  }
}

run "a_hung_or_silent_agent_is_an_alarm" {
  command = apply

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["agent-heartbeat"].namespace == "T0rnAgent" && aws_cloudwatch_metric_alarm.this["agent-heartbeat"].metric_name == "t0rn_agent_loop_age_seconds" && aws_cloudwatch_metric_alarm.this["agent-heartbeat"].comparison_operator == "GreaterThanThreshold" && aws_cloudwatch_metric_alarm.this["agent-heartbeat"].threshold == 60 && aws_cloudwatch_metric_alarm.this["agent-heartbeat"].dimensions == tomap({ stack = "t0rn-ec1-dev" })
    error_message = jsonencode(aws_cloudwatch_metric_alarm.this["agent-heartbeat"])
  }
}

run "a_parachain_far_behind_is_an_alarm" {
  command = apply

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["parachain-behind"].namespace == "T0rnAgent" && aws_cloudwatch_metric_alarm.this["parachain-behind"].metric_name == "t0rn_agent_chain_behind_blocks" && aws_cloudwatch_metric_alarm.this["parachain-behind"].comparison_operator == "GreaterThanThreshold" && aws_cloudwatch_metric_alarm.this["parachain-behind"].threshold == 100 && aws_cloudwatch_metric_alarm.this["parachain-behind"].dimensions == tomap({ stack = "t0rn-ec1-dev", chain = "parachain" })
    error_message = jsonencode(aws_cloudwatch_metric_alarm.this["parachain-behind"])
  }
}

run "a_parachain_without_peers_is_an_alarm" {
  command = apply

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["parachain-peers"].namespace == "T0rnAgent" && aws_cloudwatch_metric_alarm.this["parachain-peers"].metric_name == "t0rn_agent_chain_peers" && aws_cloudwatch_metric_alarm.this["parachain-peers"].comparison_operator == "LessThanThreshold" && aws_cloudwatch_metric_alarm.this["parachain-peers"].threshold == 1 && aws_cloudwatch_metric_alarm.this["parachain-peers"].dimensions == tomap({ stack = "t0rn-ec1-dev", chain = "parachain" })
    error_message = jsonencode(aws_cloudwatch_metric_alarm.this["parachain-peers"])
  }
}

run "a_relaychain_far_behind_is_an_alarm" {
  command = apply

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["relaychain-behind"].namespace == "T0rnAgent" && aws_cloudwatch_metric_alarm.this["relaychain-behind"].metric_name == "t0rn_agent_chain_behind_blocks" && aws_cloudwatch_metric_alarm.this["relaychain-behind"].comparison_operator == "GreaterThanThreshold" && aws_cloudwatch_metric_alarm.this["relaychain-behind"].threshold == 100 && aws_cloudwatch_metric_alarm.this["relaychain-behind"].dimensions == tomap({ stack = "t0rn-ec1-dev", chain = "relaychain" })
    error_message = jsonencode(aws_cloudwatch_metric_alarm.this["relaychain-behind"])
  }
}

run "a_relaychain_without_peers_is_an_alarm" {
  command = apply

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["relaychain-peers"].namespace == "T0rnAgent" && aws_cloudwatch_metric_alarm.this["relaychain-peers"].metric_name == "t0rn_agent_chain_peers" && aws_cloudwatch_metric_alarm.this["relaychain-peers"].comparison_operator == "LessThanThreshold" && aws_cloudwatch_metric_alarm.this["relaychain-peers"].threshold == 1 && aws_cloudwatch_metric_alarm.this["relaychain-peers"].dimensions == tomap({ stack = "t0rn-ec1-dev", chain = "relaychain" })
    error_message = jsonencode(aws_cloudwatch_metric_alarm.this["relaychain-peers"])
  }
}

run "an_instance_type_without_credits_has_no_alarm_on_them" {
  command = plan

  variables {
    instance_type = "m6a.large"
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.this), "cpu-credits")
    error_message = "it would be raised for ever"
  }
}

run "a_chain_that_is_not_watched_has_no_alarms" {
  command = plan

  variables {
    chains = ["relaychain"]
  }

  assert {
    condition     = length([for name in keys(aws_cloudwatch_metric_alarm.this) : name if startswith(name, "parachain")]) == 0
    error_message = "they would be raised for ever"
  }
}

run "another_stack_shares_no_name" {
  command = apply

  variables {
    stage = "staging"
  }

  assert {
    condition     = alltrue([for name in concat(values(output.alarms), [module.alarm_topic.name, aws_ssm_document.collect.name, aws_ssm_association.collect.association_name, output.dashboard]) : startswith(name, "t0rn-ec1-staging")])
    error_message = "a name of another stack's is used"
  }

  assert {
    condition     = aws_cloudwatch_log_group.metrics.name == "/t0rn-agent/t0rn-ec1-staging/metrics"
    error_message = "two stacks would write one log"
  }
}

# Without any, the check of modules/alarm-topic fails this.
run "further_topic_alone_is_a_recipient" {
  command = apply

  variables {
    alarm_emails     = []
    alarm_topic_arns = ["arn:aws:sns:eu-central-1:111122223333:pager"]
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : contains(alarm.alarm_actions, "arn:aws:sns:eu-central-1:111122223333:pager") && contains(alarm.ok_actions, "arn:aws:sns:eu-central-1:111122223333:pager")])
    error_message = "an alarm that the further topic does not receive"
  }
}

run "only_this_account_s_alarms_of_this_stack_may_publish" {
  command = apply

  assert {
    condition = [for statement in jsondecode(module.alarm_topic.policy).Statement : [statement.Effect, statement.Principal, statement.Action, statement.Condition]] == [
      ["Allow", { Service = "cloudwatch.amazonaws.com" }, "sns:Publish", { ArnLike = { "aws:SourceArn" = "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:t0rn-ec1-dev-*" } }]
    ]
    error_message = module.alarm_topic.policy
  }
}
