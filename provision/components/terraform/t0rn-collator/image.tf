data "aws_ssm_parameter" "ami" {
  count = var.ami_ssm_parameter == null ? 0 : 1

  name = var.ami_ssm_parameter
}

locals {
  ami_filter = var.ami_name != null ? { name = var.ami_name } : {
    image-id = var.ami_id != null ? var.ami_id : data.aws_ssm_parameter.ami[0].insecure_value
  }
}

# However the image was named, it is looked up, so that a plan shows which one it is and refuses what will not boot.
data "aws_ami" "this" {
  most_recent = true
  owners      = var.ami_owners
  # The bake sets a date of deprecation, after which another account's image is not found by a filter; it still starts.
  include_deprecated = true

  dynamic "filter" {
    for_each = merge(local.ami_filter, { state = "available" })
    content {
      name   = filter.key
      values = [filter.value]
    }
  }

  lifecycle {
    postcondition {
      condition     = self.architecture == local.architecture
      error_message = "the image ${self.id} is for ${self.architecture}, and ${var.instance_types[0]} is ${local.architecture}: choose instance_types of ${self.architecture}, or an image that was baked for ${local.architecture} (docs/bake.md)."
    }
  }
}

data "aws_ebs_snapshot" "chain" {
  count = var.chain_snapshot_id == null ? 0 : 1

  snapshot_ids = [var.chain_snapshot_id]

  lifecycle {
    postcondition {
      condition     = self.encrypted
      error_message = "the snapshot ${var.chain_snapshot_id} is not encrypted, and a launch template cannot encrypt what it takes from a snapshot: copy it with encryption and name the copy."
    }
  }
}
