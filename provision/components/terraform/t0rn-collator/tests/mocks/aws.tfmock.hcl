mock_data "aws_ami" {
  defaults = {
    id               = "ami-0123456789abcdef0"
    architecture     = "x86_64"
    root_device_name = "/dev/xvda"

    block_device_mappings = [{ device_name = "/dev/sdf", ebs = {}, no_device = "", virtual_name = "" }]
  }
}

mock_data "aws_ssm_parameter" {
  defaults = { insecure_value = "ami-0fedcba9876543210" }
}

mock_data "aws_ebs_snapshot" {
  defaults = { encrypted = true }
}

mock_data "aws_caller_identity" {
  defaults = { account_id = "111122223333" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

mock_resource "aws_iam_instance_profile" {
  defaults = { arn = "arn:aws:iam::111122223333:instance-profile/t0rn-ec1-dev-collator" }
}

mock_resource "aws_launch_template" {
  defaults = { id = "lt-0123456789abcdef0" }
}
