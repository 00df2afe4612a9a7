output "policy" {
  description = "Policy of a role that has AmazonSSMManagedInstanceCore, as JSON."
  value       = jsonencode(local.policy)
}
