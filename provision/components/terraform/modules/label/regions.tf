locals {
  # The initials of a region's name, as an environment is called: ec1 for eu-central-1. What is no region's of this list is free to be chosen.
  short_names = { for region in setunion([var.region], local.regions) : region => join("", [for part in split("-", region) : substr(part, 0, 1)]) }

  regions = [
    "af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2", "ap-southeast-1",
    "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1",
    "eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1",
    "me-central-1", "me-south-1", "mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2", "cn-north-1",
    "cn-northwest-1", "us-gov-east-1", "us-gov-west-1", "eusc-de-east-1",
  ]

  # By what its regions' names begin with; every other region is in the partition aws.
  partitions = {
    cn-   = "aws-cn", us-gov- = "aws-us-gov", us-iso- = "aws-iso", us-isob- = "aws-iso-b", us-isof- = "aws-iso-f", eu-isoe- = "aws-iso-e",
    eusc- = "aws-eusc",
  }
  partition = concat([for prefix, partition in local.partitions : partition if startswith(var.region, prefix)], ["aws"])[0]
}
