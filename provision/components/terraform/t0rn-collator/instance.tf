locals {
  # EC2 starts no Spot instance that is protected.
  protected = var.termination_protection && !var.spot
}

resource "aws_launch_template" "this" {
  name                    = local.id
  description             = "The collator of ${module.label.stack}"
  update_default_version  = true
  image_id                = data.aws_ami.this.id
  instance_type           = var.instance_types[0]
  user_data               = base64encode(module.user_data.cloud_config)
  ebs_optimized           = true
  disable_api_stop        = local.protected
  disable_api_termination = local.protected

  instance_initiated_shutdown_behavior = "terminate"

  iam_instance_profile {
    arn = aws_iam_instance_profile.this.arn
  }

  # With one hop, a container behind a bridge does not reach the role. From its tags the agent learns its group's name, for
  # which it would otherwise need a right that IAM cannot bind to a group.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "enabled"
  }

  monitoring {
    enabled = var.detailed_monitoring
  }

  network_interfaces {
    device_index                = 0
    associate_public_ip_address = false
    delete_on_termination       = true
    security_groups             = [aws_security_group.this.id]
  }

  block_device_mappings {
    device_name = data.aws_ami.this.root_device_name

    ebs {
      volume_type           = "gp3"
      volume_size           = var.root_volume_gib
      encrypted             = true
      kms_key_id            = var.kms_key_arn
      delete_on_termination = true
    }
  }

  # The chain comes from the image's mapping of this device, or from a snapshot of its own; it ends with the instance,
  # because the next one brings a younger chain along.
  block_device_mappings {
    device_name = var.chain_device

    ebs {
      volume_type           = "gp3"
      volume_size           = var.chain_volume_gib
      iops                  = var.chain_volume_iops
      throughput            = var.chain_volume_throughput
      snapshot_id           = var.chain_snapshot_id
      encrypted             = var.chain_snapshot_id == null ? true : null
      kms_key_id            = var.chain_snapshot_id == null ? var.kms_key_arn : null
      delete_on_termination = true
      # Without it, a snapshot's blocks are fetched when they are first read.
      volume_initialization_rate = var.chain_volume_initialization_rate
    }
  }

  dynamic "credit_specification" {
    for_each = startswith(local.family, "t") ? [var.cpu_credits] : []
    content {
      cpu_credits = credit_specification.value
    }
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]
    content {
      resource_type = tag_specifications.value
      tags          = local.tags
    }
  }

  tags = local.tags

  depends_on = [data.aws_ebs_snapshot.chain]

  lifecycle {
    precondition {
      condition     = var.chain_snapshot_id != null || contains([for mapping in data.aws_ami.this.block_device_mappings : mapping.device_name if try(mapping.ebs.snapshot_id, null) != ""], var.chain_device)
      error_message = "name the device of the chain in the image ${data.aws_ami.this.id} as chain_device, or a snapshot of a baked chain as chain_snapshot_id: the image brings no chain as ${var.chain_device}, and on an empty volume Docker does not start, for only a bake formats one. To begin without any chain, bake with FROM=genesis."
    }

    precondition {
      condition     = alltrue([for mapping in data.aws_ami.this.block_device_mappings : var.root_volume_gib >= try(tonumber(mapping.ebs.volume_size), 0) if mapping.device_name == data.aws_ami.this.root_device_name])
      error_message = "root_volume_gib is ${var.root_volume_gib}, which is smaller than the root volume of the image ${data.aws_ami.this.id}: EC2 starts no instance with less."
    }

    precondition {
      condition = try(var.chain_volume_gib >= (
        var.chain_snapshot_id != null ? data.aws_ebs_snapshot.chain[0].volume_size :
        max(0, [for mapping in data.aws_ami.this.block_device_mappings : try(tonumber(mapping.ebs.volume_size), 0) if mapping.device_name == var.chain_device]...)
      ), var.chain_volume_gib == null)
      error_message = "chain_volume_gib is ${coalesce(var.chain_volume_gib, 0)}, which is smaller than the snapshot of the chain (${var.chain_snapshot_id != null ? coalesce(var.chain_snapshot_id, "none") : "of the image ${data.aws_ami.this.id}"}): EC2 starts no instance with less."
    }

    precondition {
      condition     = var.chain_volume_initialization_rate == null || var.chain_snapshot_id != null || contains([for mapping in data.aws_ami.this.block_device_mappings : mapping.device_name], var.chain_device)
      error_message = "the image ${data.aws_ami.this.id} brings no snapshot as ${var.chain_device}, so that there is nothing to initialize: leave chain_volume_initialization_rate out, or name the device of its chain as chain_device."
    }

    precondition {
      condition     = var.chain_volume_gib != null || alltrue([for mapping in data.aws_ami.this.block_device_mappings : var.chain_volume_iops <= 500 * try(tonumber(mapping.ebs.volume_size), 16384) if mapping.device_name == var.chain_device])
      error_message = "EBS takes at most 500 operations per second for each GiB, and the chain's volume of the image ${data.aws_ami.this.id} is too small for ${var.chain_volume_iops}: lower chain_volume_iops, or give a larger chain_volume_gib."
    }
  }
}

# One instance, in the identity volume's zone. This is no guarantee that there are never two: who may be the collator is
# decided by who holds the volume.
resource "aws_autoscaling_group" "this" {
  name                      = local.id
  min_size                  = 1
  max_size                  = 1
  desired_capacity          = 1
  vpc_zone_identifier       = [var.private_subnet_ids[var.availability_zone]]
  health_check_type         = "EC2"
  health_check_grace_period = var.health_check_grace_seconds
  default_instance_warmup   = var.instance_warmup_seconds
  wait_for_capacity_timeout = "15m"
  # It would bring up the next instance while the last one still runs.
  capacity_rebalance  = false
  suspended_processes = ["AZRebalance"]
  metrics_granularity = "1Minute"
  enabled_metrics     = ["GroupInServiceInstances", "GroupPendingInstances", "GroupTerminatingInstances", "GroupTotalInstances"]

  dynamic "launch_template" {
    for_each = var.spot ? [] : [aws_launch_template.this]
    content {
      id      = launch_template.value.id
      version = launch_template.value.latest_version
    }
  }

  dynamic "mixed_instances_policy" {
    for_each = var.spot ? [aws_launch_template.this] : []
    content {
      instances_distribution {
        on_demand_base_capacity                  = 0
        on_demand_percentage_above_base_capacity = 0
        spot_allocation_strategy                 = "price-capacity-optimized"
        spot_max_price                           = var.spot_max_price
      }

      launch_template {
        launch_template_specification {
          launch_template_id = mixed_instances_policy.value.id
          version            = mixed_instances_policy.value.latest_version
        }

        dynamic "override" {
          for_each = var.instance_types
          content {
            instance_type = override.value
          }
        }
      }
    }
  }

  # The old instance ends before the new one begins. A change of this hook holds for a group that is made anew, which newer
  # providers do for its sake: the plan says whether this one does.
  initial_lifecycle_hook {
    name                 = local.hook
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    heartbeat_timeout    = var.termination_seconds
    default_result       = "CONTINUE"
  }

  instance_refresh {
    strategy = "Rolling"

    preferences {
      min_healthy_percentage = 0
      # Auto Scaling would go back to the group's own template, which Terraform has set to the new one by then.
      auto_rollback   = false
      instance_warmup = var.instance_warmup_seconds
      skip_matching   = true
    }
  }

  dynamic "tag" {
    for_each = local.tags
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  timeouts {
    delete = "${ceil(var.termination_seconds / 60) + 15}m"
  }

  # An instance that comes up without its rights gives up before it has them.
  depends_on = [aws_iam_role_policy.this, aws_iam_role_policy_attachment.this, aws_vpc_security_group_egress_rule.this]
}
