mock_data "aws_caller_identity" {
  defaults = { account_id = "111122223333" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

mock_data "aws_ebs_encryption_by_default" {
  defaults = { enabled = true }
}

mock_resource "aws_vpc" {
  defaults = { ipv6_cidr_block = "2a05:d014:123:4500::/56" }
}

mock_resource "aws_s3_bucket" {
  defaults = { arn = "arn:aws:s3:::t0rn-ec1-dev-flow-logs-111122223333" }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:eu-central-1:111122223333:log-group:/t0rn-ec1-dev/flow-logs" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::111122223333:role/t0rn-ec1-dev-vpc-flow-logs" }
}
