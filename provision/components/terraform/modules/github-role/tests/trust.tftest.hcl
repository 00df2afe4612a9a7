mock_provider "aws" {}

variables {
  name              = "t0rn-ec1-dev-plan"
  description       = "a test"
  oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
  repository        = "t3rn/t0rn-agent"
  subjects          = ["environment:dev", "ref:refs/heads/main"]
}

run "only_the_named_jobs_of_one_repository_take_the_role" {
  command = plan

  assert {
    condition = jsondecode(output.trust).Statement[0].Condition == {
      StringEquals = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = ["repo:t3rn/t0rn-agent:environment:dev", "repo:t3rn/t0rn-agent:ref:refs/heads/main"]
      }
    }
    error_message = output.trust
  }

  assert {
    condition     = jsondecode(output.trust).Statement[0].Principal == { Federated = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com" }
    error_message = output.trust
  }
}

run "a_repository_with_ids_is_trusted_by_both_of_its_subjects" {
  command = plan

  variables {
    repository = "t3rn@84790634/t0rn-agent@1304267049"
    subjects   = ["environment:dev"]
  }

  assert {
    condition = jsondecode(output.trust).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == [
      "repo:t3rn/t0rn-agent:environment:dev", "repo:t3rn@84790634/t0rn-agent@1304267049:environment:dev",
    ]
    error_message = output.trust
  }
}

run "the_workflow_s_file_and_branch_are_in_the_claims" {
  command = plan

  variables {
    repository = "t3rn@84790634/t0rn-agent@1304267049"
    workflow   = "deploy.yml"
    branch     = "release"
  }

  assert {
    condition = alltrue([
      for claim, value in { job_workflow_ref = "t3rn/t0rn-agent/.github/workflows/deploy.yml@refs/heads/release", repository_id = "1304267049" } :
      jsondecode(output.trust).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:${claim}"] == value
    ])
    error_message = output.trust
  }
}

run "one_id_of_two_is_refused" {
  command         = plan
  expect_failures = [var.repository]

  variables {
    repository = "t3rn@84790634/t0rn-agent"
  }
}

run "every_workflow_is_refused" {
  command         = plan
  expect_failures = [var.workflow]

  variables {
    workflow = "*.yml"
  }
}

run "every_workflow_s_branch_is_refused" {
  command         = plan
  expect_failures = [var.branch]

  variables {
    branch = "*"
  }
}

run "every_repository_of_an_owner_is_refused" {
  command         = plan
  expect_failures = [var.repository]

  variables {
    repository = "t3rn/*"
  }
}

run "every_job_is_refused" {
  command         = plan
  expect_failures = [var.subjects]

  variables {
    subjects = ["*"]
  }
}

run "every_branch_is_refused" {
  command         = plan
  expect_failures = [var.subjects]

  variables {
    subjects = ["ref:refs/heads/*"]
  }
}

run "no_job_at_all_is_refused" {
  command         = plan
  expect_failures = [var.subjects]

  variables {
    subjects = []
  }
}

run "a_name_that_iam_does_not_take_is_refused" {
  command         = plan
  expect_failures = [var.name]

  variables {
    name = "t0rn plan"
  }
}

run "a_session_of_a_day_is_refused" {
  command         = plan
  expect_failures = [var.max_session_hours]

  variables {
    max_session_hours = 24
  }
}
