output "contents" {
  description = "Each document, by what it does"
  value       = local.contents
}
