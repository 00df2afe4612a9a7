# What the account brings along and no stack makes: a plan warns where it is missing, and says what to do. Inside of its check,
# the data source would be a change in every plan.
data "aws_ebs_encryption_by_default" "this" {}

check "ebs_encryption_by_default" {
  assert {
    condition     = data.aws_ebs_encryption_by_default.this.enabled
    error_message = "EBS does not encrypt by default in ${var.region}, so that a volume made by hand may lie there in the clear: aws ec2 enable-ebs-encryption-by-default --region ${var.region}"
  }
}

check "audit_trail" {
  assert {
    condition     = var.audit_trail_arn != null
    error_message = "audit_trail_arn names no trail: without CloudTrail there is no record of who did what in the account. aws cloudtrail describe-trails --region ${var.region} lists those that there are, the organization's included; README, \"Step by step\", makes one."
  }
}
