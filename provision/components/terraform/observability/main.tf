module "label" {
  source = "../modules/label"

  tenant      = var.tenant
  environment = var.environment
  stage       = var.stage
  region      = var.region
  name        = "observability"
  tags        = var.tags
}

locals {
  name      = module.label.stack
  namespace = "T0rnAgent"
}
