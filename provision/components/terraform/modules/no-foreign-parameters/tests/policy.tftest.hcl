variables {
  partition = "aws-cn"
}

run "amazon_s_documents_alone" {
  command = plan

  assert {
    condition = { for statement in jsondecode(output.policy).Statement : statement.Sid => [statement.Effect, try(statement.NotResource, statement.Resource)] } == {
      NoParameters       = ["Deny", "*"]
      NoForeignDocuments = ["Deny", ["arn:aws-cn:ssm:*::document/*"]]
    }
    error_message = output.policy
  }
}

run "and_those_of_a_stack" {
  command = plan

  variables {
    document_prefixes = ["t0rn-ec1-dev"]
  }

  assert {
    condition     = jsondecode(output.policy).Statement[1].NotResource == ["arn:aws-cn:ssm:*::document/*", "arn:aws-cn:ssm:*:*:document/t0rn-ec1-dev-*"]
    error_message = output.policy
  }
}
