# A role for one kind of job of one repository: nothing but its tokens opens it, and only those of the named subjects, from one
# file on one branch.
locals {
  # GitHub writes the ids into the subject of repositories made, renamed or moved since 15 July 2026, and of those that asked for it.
  name          = replace(var.repository, "/@[0-9]+/", "")
  repository_id = try(regex("@([0-9]+)$", var.repository)[0], null)

  # STS knows claims beside the subject in the partition aws alone, hence none without a workflow.
  claims = var.workflow == null ? {} : merge(
    { "token.actions.githubusercontent.com:job_workflow_ref" = "${local.name}/.github/workflows/${var.workflow}@refs/heads/${var.branch}" },
    local.repository_id == null ? {} : { "token.actions.githubusercontent.com:repository_id" = local.repository_id },
  )
}

resource "aws_iam_role" "this" {
  name                 = var.name
  description          = var.description
  max_session_duration = var.max_session_hours * 3600
  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "GitHub"
      Effect    = "Allow"
      Principal = { Federated = var.oidc_provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = merge(local.claims, {
          "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
          "token.actions.githubusercontent.com:sub" = sort(flatten([
            for repository in distinct([local.name, var.repository]) : [for subject in var.subjects : "repo:${repository}:${subject}"]
          ]))
        })
      }
    }]
  })
}
