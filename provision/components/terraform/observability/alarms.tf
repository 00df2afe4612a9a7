locals {
  # Dimensions that outlive an instance: an alarm must not have to learn the next one's id.
  group = { AutoScalingGroupName = var.autoscaling_group_name }
  stack = { stack = local.name }
  disks = { root = "/", data = var.data_path }

  host_alarms = {
    status-check = {
      text      = "The instance or its host failed EC2's status check: the Auto Scaling group replaces it."
      namespace = "AWS/EC2", metric = "StatusCheckFailed", dimensions = local.group
      statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = 0, minutes = 3
    }
    in-service = {
      text      = "No collator is in service: look at the activity of the Auto Scaling group ${var.autoscaling_group_name}."
      namespace = "AWS/AutoScaling", metric = "GroupInServiceInstances", dimensions = local.group
      statistic = "Minimum", comparison = "LessThanThreshold", threshold = 1, minutes = 10
    }
    memory = {
      text      = "The kernel has almost nothing left to give out: a larger instance type, or less memory for the container."
      namespace = local.namespace, metric = "mem_available_percent", dimensions = local.group
      statistic = "Average", comparison = "LessThanThreshold", threshold = var.thresholds.memory_available_percent, minutes = 10
    }
  }

  disk_alarms = {
    for name, path in local.disks : "disk-${name}" => {
      text      = "The file system at ${path} fills up: enlarge its volume before the agent stops the collator for want of room."
      namespace = local.namespace, metric = "disk_used_percent", dimensions = merge(local.group, { path = path })
      statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = var.thresholds.disk_used_percent, minutes = 10
    }
  }

  # Other instance types have no such metric, and missing data would be an alarm for ever.
  credit_alarms = can(regex("^t[0-9]", var.instance_type)) ? {
    cpu-credits = {
      text      = "The CPU credits run out: from then on ${var.instance_type} is throttled, or costs extra. Blocks will be late."
      namespace = "AWS/EC2", metric = "CPUCreditBalance", dimensions = local.group
      statistic = "Minimum", comparison = "LessThanThreshold", threshold = var.thresholds.cpu_credits, minutes = 15
    }
  } : {}

  agent_alarms = {
    agent-heartbeat = {
      text      = "The agent's loop does not come round, or its metrics do not arrive: document ${local.name}-status, then systemctl status t0rn-agent."
      namespace = local.namespace, metric = "t0rn_agent_loop_age_seconds", dimensions = local.stack
      statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = var.thresholds.loop_age_seconds, minutes = 5
    }
  }

  chain_alarms = merge([
    for chain in var.chains : {
      "${chain}-behind" = {
        text      = "The ${chain} is far behind its peers, or its distance is not known; during the first synchronisation that is as it should be."
        namespace = local.namespace, metric = "t0rn_agent_chain_behind_blocks", dimensions = merge(local.stack, { chain = chain })
        statistic = "Minimum", comparison = "GreaterThanThreshold", threshold = var.thresholds.blocks_behind, minutes = 15
      }
      "${chain}-peers" = {
        text      = "The ${chain} has too few peers, or their number is not known: look at egress, the NAT gateway and the bootnodes."
        namespace = local.namespace, metric = "t0rn_agent_chain_peers", dimensions = merge(local.stack, { chain = chain })
        statistic = "Maximum", comparison = "LessThanThreshold", threshold = var.thresholds.peers, minutes = 15
      }
    }
  ]...)

  alarms = merge(local.host_alarms, local.disk_alarms, local.credit_alarms, local.agent_alarms, local.chain_alarms)
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = each.value.text
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  # CPU credits come every five minutes, everything else every minute.
  period              = each.key == "cpu-credits" ? 300 : 60
  evaluation_periods  = each.key == "cpu-credits" ? each.value.minutes / 5 : each.value.minutes
  datapoints_to_alarm = each.key == "cpu-credits" ? each.value.minutes / 5 : each.value.minutes
  # A collator that sends nothing is not a healthy one.
  treat_missing_data = "breaching"
  actions_enabled    = true
  alarm_actions      = module.alarm_topic.targets
  ok_actions         = module.alarm_topic.targets
}
