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

run "an_alarm_is_over_all_stacks_each_by_itself" {
  command = apply

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.each :
      can(regex("^SELECT (MAX|MIN)\\([a-z_0-9]+\\) FROM SCHEMA\\(\"T0rnAgent\", [A-Za-z, ]+\\) GROUP BY [A-Za-z, ]+ ORDER BY (MAX|MIN)\\(\\) (ASC|DESC)$", one(alarm.metric_query).expression)) &&
      one(alarm.metric_query).return_data && one(alarm.metric_query).period == 60
    ])
    error_message = jsonencode([for alarm in aws_cloudwatch_metric_alarm.each : alarm.metric_query])
  }

  # CloudWatch refuses SEARCH in an alarm.
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.each : !strcontains(one(alarm.metric_query).expression, "SEARCH")])
    error_message = "an alarm by SEARCH"
  }

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.each) == ["behind", "container", "disk", "heartbeat", "peers"]
    error_message = jsonencode(keys(aws_cloudwatch_metric_alarm.each))
  }
}

run "every_alarm_has_a_recipient" {
  command = apply

  variables {
    collators = 5
  }

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.each), aws_cloudwatch_metric_alarm.number) :
      contains(alarm.alarm_actions, module.alarm_topic.arn) && contains(alarm.ok_actions, module.alarm_topic.arn) && alarm.actions_enabled
    ])
    error_message = "an alarm without a recipient"
  }

  assert {
    condition     = jsondecode(module.alarm_topic.policy).Statement[0].Condition.ArnLike["aws:SourceArn"] == "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:t0rn-agent-fleet-*"
    error_message = module.alarm_topic.policy
  }

  assert {
    condition     = alltrue([for name in output.alarms : startswith(name, "t0rn-agent-fleet-")]) && length(output.alarms) == 6
    error_message = "the topic takes no message of ${jsonencode(output.alarms)}"
  }
}

run "fewer_collators_than_expected_are_an_alarm_silence_too" {
  command = apply

  variables {
    collators = 5
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.number[0].threshold == 5 && aws_cloudwatch_metric_alarm.number[0].comparison_operator == "LessThanThreshold" &&
      aws_cloudwatch_metric_alarm.number[0].treat_missing_data == "breaching" &&
      one(aws_cloudwatch_metric_alarm.number[0].metric_query).expression == "SELECT SUM(t0rn_agent_container_running) FROM SCHEMA(\"T0rnAgent\", stack)"
    )
    error_message = jsonencode(aws_cloudwatch_metric_alarm.number)
  }
}

run "no_number_is_no_alarm_on_it" {
  command = plan

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.number) == 0
    error_message = "an alarm on a number that is not known"
  }
}

run "the_dashboard_finds_every_stack_by_search_in_each_region" {
  command = apply

  variables {
    dashboard_regions = ["eu-west-1"]
  }

  assert {
    condition = alltrue([
      for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets :
      [for lines in widget.properties.metrics : lines[0].region] == ["eu-central-1", "eu-west-1"] &&
      alltrue([for lines in widget.properties.metrics : can(regex("^SEARCH\\('\\{T0rnAgent,[A-Za-z,]+\\} MetricName=\"[a-z_0-9]+\"', '[A-Za-z]+', 60\\)$", lines[0].expression))])
      if widget.type == "metric"
    ])
    error_message = aws_cloudwatch_dashboard.this.dashboard_body
  }

  assert {
    condition     = alltrue([for query in local.queries : strcontains(aws_cloudwatch_dashboard.this.dashboard_body, regex("\\(([a-z_0-9]+)\\)", query.query)[0])])
    error_message = "the dashboard lacks a metric that an alarm is about"
  }

  # A name in braces that Terraform would fill in.
  assert {
    condition     = strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "$${PROP('Dim.stack')}")
    error_message = "lines without the name of their stack"
  }
}

run "a_single_account_shares_nothing" {
  command = plan

  assert {
    condition     = length(aws_oam_sink.this) + length(aws_oam_link.this) == 0
    error_message = "metrics leave an account unasked"
  }
}

run "a_monitoring_account_takes_metrics_of_named_accounts_only" {
  command = apply

  variables {
    source_account_ids = ["444455556666", "777788889999"]
  }

  assert {
    condition = jsondecode(aws_oam_sink_policy.this[0].policy).Statement == [{
      Effect    = "Allow"
      Principal = { AWS = ["444455556666", "777788889999"] }
      Action    = ["oam:CreateLink", "oam:UpdateLink"]
      Resource  = "*"
      Condition = { "ForAllValues:StringEquals" = { "oam:ResourceTypes" = ["AWS::CloudWatch::Metric"] } }
    }]
    error_message = aws_oam_sink_policy.this[0].policy
  }
}

run "a_source_account_shares_metrics_only" {
  command = plan

  variables {
    monitoring_sink_arn = "arn:aws:oam:eu-central-1:111122223333:sink/0123"
  }

  assert {
    condition     = aws_oam_link.this[0].resource_types == toset(["AWS::CloudWatch::Metric"]) && aws_oam_link.this[0].sink_identifier == "arn:aws:oam:eu-central-1:111122223333:sink/0123"
    error_message = jsonencode(aws_oam_link.this)
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
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.each : contains(alarm.alarm_actions, "arn:aws:sns:eu-central-1:111122223333:pager") && contains(alarm.ok_actions, "arn:aws:sns:eu-central-1:111122223333:pager")])
    error_message = "an alarm that the further topic does not receive"
  }
}
