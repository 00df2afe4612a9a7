module t0rn-agent/tests/infrastructure/terraform-docs

go 1.26

require github.com/terraform-docs/terraform-docs v0.20.0
