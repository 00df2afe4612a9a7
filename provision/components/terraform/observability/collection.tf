# How the metrics come to CloudWatch: the CloudWatch agent on the host reads the exporter of t0rn-agent and the host's
# memory and disks. Systems Manager configures it on whatever instance the group starts, so neither the image nor
# user-data knows of it.
locals {
  agent_home = "/opt/aws/amazon-cloudwatch-agent/etc"
  chain_metrics = [
    "t0rn_agent_chain_best_height", "t0rn_agent_chain_behind_blocks", "t0rn_agent_chain_peers",
  ]
  stack_metrics = [
    "t0rn_agent_loop_age_seconds", "t0rn_agent_container_running", "t0rn_agent_restart_budget_left",
  ]

  scrape_config = yamlencode({
    global = { scrape_interval = "1m", scrape_timeout = "10s" }
    scrape_configs = [{
      job_name       = "t0rn-agent"
      sample_limit   = 2000
      static_configs = [{ targets = [var.exporter], labels = { stack = local.name } }]
    }]
  })

  cloudwatch_config = jsonencode({
    agent = { metrics_collection_interval = 60, run_as_user = "cwagent" }
    metrics = {
      namespace              = local.namespace
      append_dimensions      = { AutoScalingGroupName = "$${aws:AutoScalingGroupName}" }
      aggregation_dimensions = [["AutoScalingGroupName"], ["AutoScalingGroupName", "path"]]
      metrics_collected = {
        mem  = { measurement = ["mem_available_percent"] }
        disk = { measurement = ["used_percent"], resources = values(local.disks), drop_device = true }
      }
    }
    logs = {
      metrics_collected = {
        prometheus = {
          log_group_name         = aws_cloudwatch_log_group.metrics.name
          prometheus_config_path = "${local.agent_home}/t0rn-prometheus.yaml"
          emf_processor = {
            metric_namespace = local.namespace
            # Everything else that the exporter says stays in the log, where it costs no metric.
            metric_declaration = [
              for dimensions, metrics in { "stack,chain" = local.chain_metrics, "stack" = local.stack_metrics } : {
                source_labels                            = ["stack"]
                label_matcher                            = "^${local.name}$"
                dimensions                               = [split(",", dimensions)]
                metric_selectors                         = ["^(${join("|", metrics)})$"]
              }
            ]
          }
        }
      }
    }
  })
}

resource "aws_cloudwatch_log_group" "metrics" {
  #checkov:skip=CKV_AWS_158:numbers of the exporter, no secret; CloudWatch encrypts them under its own key
  #checkov:skip=CKV_AWS_338:the metrics live for 15 months by themselves, their raw text need not
  name              = "/t0rn-agent/${local.name}/metrics"
  retention_in_days = var.retention_days
}

resource "aws_ssm_document" "collect" {
  name            = "${local.name}-collect-metrics"
  document_type   = "Command"
  document_format = "JSON"
  target_type     = "/AWS::EC2::Instance"

  content = jsonencode({
    schemaVersion = "2.2"
    description   = "Have the CloudWatch agent read t0rn-agent's exporter, memory and disks"
    mainSteps = [{
      action       = "aws:runShellScript"
      name         = "collect"
      precondition = { StringEquals = ["platformType", "Linux"] }
      inputs = {
        timeoutSeconds = "120"
        runCommand = split("\n", templatefile("${path.module}/scripts/collect.sh.tftpl", {
          home   = local.agent_home
          scrape = base64encode(local.scrape_config)
          config = base64encode(local.cloudwatch_config)
        }))
      }
    }]
  })
}

resource "aws_ssm_association" "collect" {
  name                = aws_ssm_document.collect.name
  association_name    = "${local.name}-collect-metrics"
  document_version    = aws_ssm_document.collect.latest_version
  compliance_severity = "HIGH"
  # Beside the run when an instance registers: one that failed is repeated, and what was changed on the host is put right. It is the
  # shortest interval that there is.
  schedule_expression = "rate(30 minutes)"

  targets {
    key    = "tag:aws:autoscaling:groupName"
    values = [var.autoscaling_group_name]
  }
}
