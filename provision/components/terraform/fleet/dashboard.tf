# One graph for each figure, with a line for each stack that has it: a SEARCH finds new stacks by itself. In a monitoring account
# it also finds those of the accounts that are linked to it.
locals {
  regions = sort(setunion(var.dashboard_regions, [var.region]))

  by_stack = "$${PROP('AccountLabel')} $${PROP('Dim.stack')}"
  by_chain = "${local.by_stack} $${PROP('Dim.chain')}"
  by_group = "$${PROP('AccountLabel')} $${PROP('Dim.AutoScalingGroupName')}"

  graphs = [
    { title = "Blocks behind", schema = "chain,stack", metric = "t0rn_agent_chain_behind_blocks", statistic = "Minimum", label = local.by_chain, alarm = var.thresholds.blocks_behind },
    { title = "Peers", schema = "chain,stack", metric = "t0rn_agent_chain_peers", statistic = "Minimum", label = local.by_chain, alarm = var.thresholds.peers },
    { title = "Best block", schema = "chain,stack", metric = "t0rn_agent_chain_best_height", statistic = "Maximum", label = local.by_chain, alarm = null },
    { title = "Collator runs", schema = "stack", metric = "t0rn_agent_container_running", statistic = "Minimum", label = local.by_stack, alarm = null },
    { title = "Age of the agent's loop, s", schema = "stack", metric = "t0rn_agent_loop_age_seconds", statistic = "Maximum", label = local.by_stack, alarm = var.thresholds.loop_age_seconds },
    { title = "Restarts left", schema = "stack", metric = "t0rn_agent_restart_budget_left", statistic = "Minimum", label = local.by_stack, alarm = null },
    { title = "Disk used, %", schema = "AutoScalingGroupName,path", metric = "disk_used_percent", statistic = "Maximum", label = "${local.by_group} $${PROP('Dim.path')}", alarm = var.thresholds.disk_used_percent },
    { title = "Memory available, %", schema = "AutoScalingGroupName", metric = "mem_available_percent", statistic = "Minimum", label = local.by_group, alarm = null },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = "${var.prefix}-fleet-${var.environment}"

  dashboard_body = jsonencode({
    widgets = concat(
      [{
        type = "alarm", x = 0, y = 0, width = 24, height = 3
        properties = {
          title  = "All collators"
          alarms = [for alarm in concat(values(aws_cloudwatch_metric_alarm.each), aws_cloudwatch_metric_alarm.number) : alarm.arn]
        }
      }],
      [
        for number, graph in local.graphs : {
          type = "metric", x = 12 * (number % 2), y = 3 + 7 * floor(number / 2), width = 12, height = 7
          properties = {
            title  = graph.title
            region = var.region
            view   = "timeSeries"
            stat   = graph.statistic
            period = 60
            metrics = [
              for position, region in local.regions : [{
                id         = "region${position}"
                region     = region
                expression = "SEARCH('{${local.namespace},${graph.schema}} MetricName=\"${graph.metric}\"', '${graph.statistic}', 60)"
                label      = "${length(local.regions) > 1 ? "${region} " : ""}${graph.label}"
              }]
            ]
            annotations = { horizontal = [for value in [graph.alarm] : { label = "alarm", value = value } if value != null] }
          }
        }
      ],
    )
  })
}
