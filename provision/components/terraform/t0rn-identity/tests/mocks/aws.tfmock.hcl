mock_data "aws_caller_identity" {
  defaults = { account_id = "111122223333" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

mock_resource "aws_ebs_volume" {
  defaults = { arn = "arn:aws:ec2:eu-central-1:111122223333:volume/vol-0123456789abcdef0" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::111122223333:role/t0rn-ec1-dev-identity-snapshots" }
}
