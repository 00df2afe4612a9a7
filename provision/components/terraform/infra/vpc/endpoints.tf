locals {
  # Where Systems Manager, the CloudWatch agent and ECR keep what an instance fetches.
  amazons_buckets = concat(
    ["${var.region}-birdwatcher-prod", "prod-${var.region}-starport-layer-bucket", "amazoncloudwatch-agent"],
    [for name in ["amazon-ssm", "amazon-ssm-packages", "amazoncloudwatch-agent", "aws-ssm", "aws-ssm-distributor-file", "aws-ssm-document-attachments", "patch-baseline-snapshot"] : "${name}-${var.region}"],
  )
}

# Costs nothing, and snapshots of a chain are large: through a NAT gateway each gigabyte would be paid for. What it lets
# through is named: nothing goes to a bucket of another account that way.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [for table in aws_route_table.private : table.id]

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "BucketsOfThisAccount"
          Effect    = "Allow"
          Principal = "*"
          Action    = "s3:*"
          Resource  = "*"
          Condition = { StringEquals = { "aws:ResourceAccount" = local.account_id } }
        },
        {
          Sid       = "BucketsOfAmazonsAgents"
          Effect    = "Allow"
          Principal = "*"
          Action    = "s3:GetObject"
          Resource  = [for name in local.amazons_buckets : "arn:${local.partition}:s3:::${name}/*"]
        },
      ],
      [for statement in [{
        Sid       = "BucketsThatAreNamed"
        Effect    = "Allow"
        Principal = "*"
        Action    = ["s3:GetObject", "s3:ListBucket"]
        Resource  = flatten([for name in sort(var.s3_bucket_names) : ["arn:${local.partition}:s3:::${name}", "arn:${local.partition}:s3:::${name}/*"]])
      }] : statement if length(var.s3_bucket_names) > 0],
    )
  })

  tags = merge(local.tags, { Name = "${local.id}-s3" })
}

resource "aws_security_group" "endpoints" {
  count = length(var.interface_endpoints) > 0 ? 1 : 0

  name        = "${local.id}-endpoints"
  description = "HTTPS from within the VPC to the endpoints of AWS services"
  vpc_id      = aws_vpc.this.id

  tags = merge(local.tags, { Name = "${local.id}-endpoints" })
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  count = length(aws_security_group.endpoints)

  security_group_id = aws_security_group.endpoints[0].id
  description       = "HTTPS from within the VPC"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = var.cidr_block

  tags = merge(local.tags, { Name = "${local.id}-endpoints-https" })
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.interface_endpoints

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [for subnet in aws_subnet.private : subnet.id]
  security_group_ids  = [aws_security_group.endpoints[0].id]

  tags = merge(local.tags, { Name = "${local.id}-${each.key}" })
}
