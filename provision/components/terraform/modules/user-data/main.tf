# Only what is given is written: everything else keeps the agent's own default. Strings are written as JSON's, which are
# TOML's as well.
locals {
  given = {
    for section in local.order : section => concat(
      [for key, value in lookup(var.agent_settings, section, {}) : "${key} = ${contains(local.bare, try(local.settings[section][key], "")) ? value : jsonencode(value)}"],
      [for key, values in lookup(var.agent_lists, section, {}) : "${key} = ${jsonencode(values)}"],
    )
  }

  collator = concat(
    ["image = ${jsonencode(var.collator_image)}"],
    length(var.collator_command) == 0 ? [] : ["command = ${jsonencode(var.collator_command)}"],
    length(var.collator_env) == 0 ? [] : ["env = { ${join(", ", [for name, value in var.collator_env : "${name} = ${jsonencode(value)}"])} }"],
    var.collator_ports == null ? [] : ["ports = ${jsonencode(var.collator_ports)}"],
    local.given.collator,
  )

  sections = concat(
    [for section in local.order : concat(["[${section}]"], section == "collator" ? local.collator : local.given[section]) if section == "collator" || length(local.given[section]) > 0],
    [for mount in var.collator_mounts : ["[[mounts]]", "source = ${jsonencode(mount.source)}", "target = ${jsonencode(mount.target)}", "read_only = ${mount.read_only}"]],
    [for name, chain in var.chains : concat(["[chains.${name}]", "metrics = ${jsonencode(chain.metrics)}"], chain.prefix == null ? [] : ["prefix = ${jsonencode(chain.prefix)}"])],
  )

  agent_toml = "# Written by Terraform: a change here is lost with the instance.\n\n${join("\n\n", [for lines in local.sections : join("\n", lines)])}\n"

  # The agent's unit waits for cloud-config.service and starts by itself; the command is for an image in which it is not
  # enabled. Without --no-block it would wait for what waits for it.
  cloud_config = <<-EOT
    #cloud-config
    write_files:
      - path: /etc/t0rn-agent/agent.toml
        owner: root:t0rn-agent
        permissions: "0640"
        encoding: b64
        content: ${base64encode(local.agent_toml)}
    runcmd:
      - [systemctl, start, --no-block, t0rn-agent.service]
  EOT
}
