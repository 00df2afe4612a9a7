# AmazonSSMManagedInstanceCore reads every parameter and document of the account. A host of ours needs no parameter, and of documents
# those of Amazon's and of its stack: what else an association names, the instance cannot fetch.
locals {
  policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "NoParameters"
        Effect   = "Deny"
        Action   = "ssm:GetParameter*"
        Resource = "*"
      },
      {
        Sid         = "NoForeignDocuments"
        Effect      = "Deny"
        Action      = ["ssm:DescribeDocument", "ssm:GetDocument"]
        NotResource = concat(["arn:${var.partition}:ssm:*::document/*"], [for prefix in var.document_prefixes : "arn:${var.partition}:ssm:*:*:document/${prefix}-*"])
      },
    ]
  }
}
