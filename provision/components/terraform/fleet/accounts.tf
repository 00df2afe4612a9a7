# Several accounts on one dashboard, and under one set of alarms: CloudWatch's Observability Access Manager. The monitoring account
# has the sink, every other account a link to it. Metrics only: no log and no trace leaves an account.
locals {
  shared = ["AWS::CloudWatch::Metric"]
}

resource "aws_oam_sink" "this" {
  count = length(var.source_account_ids) > 0 ? 1 : 0

  name = "${var.prefix}-fleet"
}

resource "aws_oam_sink_policy" "this" {
  count = length(aws_oam_sink.this)

  sink_identifier = aws_oam_sink.this[count.index].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = sort(var.source_account_ids) }
      Action    = ["oam:CreateLink", "oam:UpdateLink"]
      Resource  = "*"
      Condition = { "ForAllValues:StringEquals" = { "oam:ResourceTypes" = local.shared } }
    }]
  })
}

resource "aws_oam_link" "this" {
  count = var.monitoring_sink_arn == null ? 0 : 1

  label_template  = "$AccountName"
  resource_types  = local.shared
  sink_identifier = var.monitoring_sink_arn
}
