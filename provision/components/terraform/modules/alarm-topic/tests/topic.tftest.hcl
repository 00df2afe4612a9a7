mock_provider "aws" {
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws-cn:sns:cn-north-1:111122223333:t0rn-cn1-dev-alarms" }
  }
}

variables {
  prefix     = "t0rn-cn1-dev"
  region     = "cn-north-1"
  emails     = ["ops@t0rn.io", "night@t0rn.io"]
  topic_arns = []
}

run "alarms_of_this_account_and_prefix_publish_and_nothing_else" {
  command = apply

  assert {
    condition = jsondecode(aws_sns_topic_policy.this.policy).Statement == [{
      Sid       = "Alarms"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.this.arn
      Condition = { ArnLike = { "aws:SourceArn" = "arn:aws-cn:cloudwatch:cn-north-1:111122223333:alarm:t0rn-cn1-dev-*" } }
    }] && aws_sns_topic_policy.this.arn == aws_sns_topic.this.arn
    error_message = aws_sns_topic_policy.this.policy
  }
}

run "each_address_has_its_own_subscription" {
  command = apply

  assert {
    condition     = aws_sns_topic.this.name == "t0rn-cn1-dev-alarms" && { for address, one in aws_sns_topic_subscription.email : address => [one.protocol, one.endpoint, one.topic_arn] } == { for address in var.emails : address => ["email", address, aws_sns_topic.this.arn] }
    error_message = jsonencode(aws_sns_topic_subscription.email)
  }
}

run "plan_warns_without_recipient" {
  command         = plan
  expect_failures = [check.alarm_has_recipient]

  variables {
    emails = []
  }
}

run "further_topics_are_recipients_behind_its_own" {
  command = apply

  variables {
    emails     = []
    topic_arns = ["arn:aws-cn:sns:cn-north-1:111122223333:pager", "arn:aws-cn:sns:cn-north-1:111122223333:chat"]
  }

  assert {
    condition     = output.targets == concat(["arn:aws-cn:sns:cn-north-1:111122223333:t0rn-cn1-dev-alarms"], ["arn:aws-cn:sns:cn-north-1:111122223333:chat", "arn:aws-cn:sns:cn-north-1:111122223333:pager"])
    error_message = jsonencode(output.targets)
  }
}
