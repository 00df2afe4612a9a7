output "agent_toml" {
  description = "The agent's configuration, /etc/t0rn-agent/agent.toml."
  value       = local.agent_toml
}

output "cloud_config" {
  description = "User-data that puts the configuration in place and starts the agent; to be encoded in base64."
  value       = local.cloud_config

  precondition {
    condition     = length(local.cloud_config) <= 16384
    error_message = "the user-data has ${length(local.cloud_config)} bytes, and EC2 takes 16384: shorten collator_command, or put files on the image."
  }

  precondition {
    condition     = length(local.contradictions) == 0
    error_message = "agent_settings contradict each other, a default or another variable, and the agent refuses that when it starts: ${join("; ", local.contradictions)}."
  }
}
