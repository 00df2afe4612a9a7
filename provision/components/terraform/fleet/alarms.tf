# An alarm cannot use SEARCH. A Metrics Insights query with GROUP BY is one alarm over every stack: each is a contributor of its
# own, and a stack that comes or goes changes no alarm.
locals {
  queries = {
    heartbeat = {
      text       = "An agent's loop does not come round."
      query      = "SELECT MAX(t0rn_agent_loop_age_seconds) FROM SCHEMA(\"${local.namespace}\", stack) GROUP BY stack ORDER BY MAX() DESC"
      comparison = "GreaterThanThreshold", threshold = var.thresholds.loop_age_seconds, minutes = 5
    }
    container = {
      text       = "A collator does not run."
      query      = "SELECT MAX(t0rn_agent_container_running) FROM SCHEMA(\"${local.namespace}\", stack) GROUP BY stack ORDER BY MAX() ASC"
      comparison = "LessThanThreshold", threshold = 1, minutes = 10
    }
    behind = {
      text       = "A chain is far behind its peers; during the first synchronisation that is as it should be."
      query      = "SELECT MIN(t0rn_agent_chain_behind_blocks) FROM SCHEMA(\"${local.namespace}\", chain, stack) GROUP BY stack, chain ORDER BY MIN() DESC"
      comparison = "GreaterThanThreshold", threshold = var.thresholds.blocks_behind, minutes = 15
    }
    peers = {
      text       = "A chain has too few peers."
      query      = "SELECT MAX(t0rn_agent_chain_peers) FROM SCHEMA(\"${local.namespace}\", chain, stack) GROUP BY stack, chain ORDER BY MAX() ASC"
      comparison = "LessThanThreshold", threshold = var.thresholds.peers, minutes = 15
    }
    disk = {
      text       = "A file system fills up."
      query      = "SELECT MAX(disk_used_percent) FROM SCHEMA(\"${local.namespace}\", AutoScalingGroupName, path) GROUP BY AutoScalingGroupName, path ORDER BY MAX() DESC"
      comparison = "GreaterThanThreshold", threshold = var.thresholds.disk_used_percent, minutes = 10
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "each" {
  for_each = local.queries

  alarm_name          = "${var.prefix}-fleet-${each.key}"
  alarm_description   = "${each.value.text} The alarm's contributors name the stack; then provision/fleet."
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  evaluation_periods  = each.value.minutes
  datapoints_to_alarm = each.value.minutes
  # A stack that was destroyed has no more data. Silence is an alarm of each stack's own, and of the number below.
  treat_missing_data = "notBreaching"
  actions_enabled    = true
  alarm_actions      = module.alarm_topic.targets
  ok_actions         = module.alarm_topic.targets

  metric_query {
    id          = "each"
    expression  = each.value.query
    period      = 60
    return_data = true
  }
}

# A running collator reports a 1 once a minute, so that the sum of a minute is their number. Eight minutes of ten, because a
# report may fall into the next minute.
resource "aws_cloudwatch_metric_alarm" "number" {
  count = var.collators == null ? 0 : 1

  alarm_name          = "${var.prefix}-fleet-number"
  alarm_description   = "Fewer than ${var.collators} collators run and report: provision/fleet names those that do not."
  comparison_operator = "LessThanThreshold"
  threshold           = var.collators
  evaluation_periods  = 10
  datapoints_to_alarm = 8
  treat_missing_data  = "breaching"
  actions_enabled     = true
  alarm_actions       = module.alarm_topic.targets
  ok_actions          = module.alarm_topic.targets

  metric_query {
    id          = "number"
    expression  = "SELECT SUM(t0rn_agent_container_running) FROM SCHEMA(\"${local.namespace}\", stack)"
    period      = 60
    return_data = true
  }
}
