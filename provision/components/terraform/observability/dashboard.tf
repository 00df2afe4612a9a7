locals {
  graphs = [
    {
      title   = "Blocks behind", lines = local.lines["behind"]
      metrics = [for chain in sort(var.chains) : [local.namespace, "t0rn_agent_chain_behind_blocks", "stack", local.name, "chain", chain, { label = chain }]]
    },
    {
      title   = "Peers", lines = local.lines["peers"]
      metrics = [for chain in sort(var.chains) : [local.namespace, "t0rn_agent_chain_peers", "stack", local.name, "chain", chain, { label = chain }]]
    },
    {
      title   = "Best block", lines = []
      metrics = [for chain in sort(var.chains) : [local.namespace, "t0rn_agent_chain_best_height", "stack", local.name, "chain", chain, { label = chain }]]
    },
    {
      title = "Agent", lines = local.lines["loop"]
      metrics = [
        [local.namespace, "t0rn_agent_loop_age_seconds", "stack", local.name, { label = "age of the loop, s" }],
        [local.namespace, "t0rn_agent_container_running", "stack", local.name, { label = "container runs" }],
        [local.namespace, "t0rn_agent_restart_budget_left", "stack", local.name, { label = "restarts left" }],
      ]
    },
    {
      title   = "Disk used, %", lines = local.lines["disk"]
      metrics = [for path in values(local.disks) : [local.namespace, "disk_used_percent", "AutoScalingGroupName", var.autoscaling_group_name, "path", path, { label = path }]]
    },
    {
      title   = "Memory available, %", lines = local.lines["memory"]
      metrics = [[local.namespace, "mem_available_percent", "AutoScalingGroupName", var.autoscaling_group_name, { label = "available" }]]
    },
    {
      title = "Processor", lines = []
      metrics = concat(
        [["AWS/EC2", "CPUUtilization", "AutoScalingGroupName", var.autoscaling_group_name, { label = "used, %" }]],
        [for alarm in values(local.credit_alarms) : ["AWS/EC2", "CPUCreditBalance", "AutoScalingGroupName", var.autoscaling_group_name, { label = "credits", yAxis = "right" }]],
      )
    },
    {
      title = "Instance", lines = []
      metrics = [
        ["AWS/AutoScaling", "GroupInServiceInstances", "AutoScalingGroupName", var.autoscaling_group_name, { label = "in service" }],
        ["AWS/EC2", "StatusCheckFailed", "AutoScalingGroupName", var.autoscaling_group_name, { label = "status check failed" }],
      ]
    },
  ]

  lines = {
    for graph, threshold in {
      behind = var.thresholds.blocks_behind
      peers  = var.thresholds.peers
      loop   = var.thresholds.loop_age_seconds
      disk   = var.thresholds.disk_used_percent
      memory = var.thresholds.memory_available_percent
    } : graph => [{ label = "alarm", value = threshold }]
  }
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = local.name

  dashboard_body = jsonencode({
    widgets = concat(
      [{
        type       = "alarm", x = 0, y = 0, width = 24, height = 3
        properties = { title = "Alarms of ${local.name}", alarms = [for alarm in aws_cloudwatch_metric_alarm.this : alarm.arn] }
      }],
      [
        for number, graph in local.graphs : {
          type = "metric", x = 8 * (number % 3), y = 3 + 6 * floor(number / 3), width = 8, height = 6
          properties = {
            title       = graph.title
            region      = var.region
            view        = "timeSeries"
            stat        = "Average"
            period      = 60
            metrics     = graph.metrics
            annotations = { horizontal = graph.lines }
          }
        }
      ],
    )
  })
}
