locals {
  stack = join("-", [var.tenant, var.environment, var.stage])
  id    = "${local.stack}-${var.name}"

  tags = merge(var.tags, {
    Name        = local.id
    Stack       = local.stack
    Tenant      = var.tenant
    Environment = var.environment
    Stage       = var.stage
    Component   = var.name
    ManagedBy   = "terraform"
  })
}
