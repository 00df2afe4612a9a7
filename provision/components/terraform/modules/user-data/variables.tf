variable "collator_image" {
  description = "The collator's container image, with a tag or a digest."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex(local.patterns.image, var.collator_image)) && length(var.collator_image) <= 255 && !endswith(var.collator_image, ":latest")
    error_message = "collator_image must have a tag other than latest, or a digest, such as 3h4xx/t0rn-collator:v1.2.0-rc.4: otherwise two instances of one configuration would run two versions."
  }
}

variable "collator_command" {
  description = "Arguments of the image's entrypoint; with none, the image's own."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for argument in var.collator_command : can(regex(local.patterns.text, argument))])
    error_message = "collator_command must be texts without control characters, and none of them null: the agent could not read its configuration."
  }

  validation {
    condition     = !anytrue([for argument in var.collator_command : can(regex(local.secrets.argument, argument)) || can(regex(local.secrets.url, argument))])
    error_message = "collator_command must carry no key, seed or password: user-data is readable for everyone who may read the launch template. Use --node-key-file and a keystore on the identity volume. Nor a well-known key (--dev, --alice, --one and the like), with which any other node can sign."
  }
}

variable "collator_env" {
  description = "Environment of the collator; no secrets, since user-data is readable for everyone who may read the launch template."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.collator_env) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))])
    error_message = "collator_env must have names of letters, digits and underscores, such as RUST_LOG."
  }

  validation {
    condition     = alltrue([for value in values(var.collator_env) : can(regex(local.patterns.text, value))])
    error_message = "collator_env must have texts without control characters as values, and none of them null: the agent could not read its configuration."
  }

  validation {
    condition     = !anytrue([for name, value in var.collator_env : (can(regex(local.secrets.variable, name)) && !can(regex(local.secrets.place, name))) || can(regex(local.secrets.url, value))])
    error_message = "collator_env must carry no secret, neither by its name nor as a password in a URL: user-data is readable for everyone who may read the launch template. Put it into a file on the identity volume, whose path may stand in a variable that ends in _FILE or _PATH."
  }
}

variable "collator_ports" {
  description = "Ports to publish, [ADDRESS:]HOST:CONTAINER[/PROTOCOL]; null for the agent's default."
  type        = list(string)
  default     = null

  validation {
    condition     = alltrue([for port in var.collator_ports == null ? [] : var.collator_ports : can(regex(local.patterns.port, port))])
    error_message = "collator_ports must be [ADDRESS:]HOST:CONTAINER[/PROTOCOL] with numbers from 1 to 65535, such as 33333:33333/tcp or 127.0.0.1:7001:7001/tcp."
  }
}

variable "collator_mounts" {
  description = "Further directories of the host for the container, such as the keystore."
  type        = list(object({ source = string, target = string, read_only = optional(bool, false) }))
  default     = []
  nullable    = false

  validation {
    condition     = alltrue(flatten([for mount in var.collator_mounts : [for path in [try(mount.source, null), try(mount.target, null)] : can(regex(local.patterns.path, path))]]))
    error_message = "collator_mounts must have absolute paths as source and target, such as /var/lib/t0rn-identity/keystore and /node/keystore."
  }
}

variable "chains" {
  description = "The node's exporters, parachain and relaychain; empty for the agent's default."
  type        = map(object({ metrics = string, prefix = optional(string) }))
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.chains), ["parachain", "relaychain"])) == 0
    error_message = "chains must be parachain, relaychain or both."
  }

  validation {
    condition     = alltrue([for chain in values(var.chains) : can(regex(local.patterns.url, chain.metrics)) && can(regex(local.patterns.prefix, chain.prefix == null ? "substrate" : chain.prefix))])
    error_message = "chains must have the URL of an exporter as metrics, such as http://127.0.0.1:7001/metrics, and as prefix what stands before _block_height there, such as substrate; without a prefix leave it out."
  }
}

variable "agent_settings" {
  description = "Further settings of the agent, as in its configuration: section, key and value, such as { health = { stall_after = \"10m\" } }."
  type        = map(map(string))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for values in values(var.agent_settings) : values != null])
    error_message = "agent_settings must have keys and values in each section, and no null: leave a section out that has none."
  }

  validation {
    condition     = try(var.agent_settings["collator"]["network"] != "none", true)
    error_message = "agent_settings must not have none as collator.network: it cuts the collator off from its peers, and the agent from its exporters."
  }

  validation {
    condition     = length(setsubtract(keys(var.agent_settings), local.order)) == 0
    error_message = "agent_settings has sections that the agent does not know, or that are variables of their own: ${join(", ", [for section in setsubtract(keys(var.agent_settings), local.order) : section == "" ? "one without a name (\"\")" : section])}. There are ${join(", ", local.order)}."
  }

  validation {
    condition     = alltrue(flatten([for section, values in var.agent_settings : [for key, _ in values : !contains(keys(local.settings), section) || contains(keys(try(local.settings[section], {})), key)] if values != null]))
    error_message = "agent_settings has keys that the agent does not know or that may not be in user-data: ${join(", ", flatten([for section, values in var.agent_settings : [for key, _ in values : "${section == "" ? "\"\"" : section}.${key == "" ? "\"\"" : key}" if !contains(keys(try(local.settings[section], {})), key)] if values != null]))}. `t0rn-agent config default` shows them all; notify.webhook is a secret and is set on the host."
  }

  validation {
    condition     = alltrue(flatten([for section, values in var.agent_settings : [for key, value in values : can(regex(local.patterns[local.settings[section][key]], value)) || !can(local.settings[section][key])] if values != null]))
    error_message = "agent_settings has values that do not fit: ${join(", ", flatten([for section, values in var.agent_settings : [for key, value in values : "${section}.${key} (a ${local.settings[section][key]})" if can(local.settings[section][key]) && !can(regex(local.patterns[local.settings[section][key]], value))] if values != null]))}. Durations are such as 30s, 5m or 1h30m, sizes such as 50MiB or 2GiB, paths begin with a slash; `t0rn-agent config default` shows one of each."
  }

  validation {
    condition = alltrue(flatten([for section, values in var.agent_settings : [for key, value in values : try(
      local.bounds["${section}.${key}"] == null,
      true
      ) || try(
      sum([for part in regexall("([0-9]+)(ms|[smhd]|[KMGT]iB|)", value) : tonumber(part[0]) * lookup(local.units, part[1], 1)]) >= local.bounds["${section}.${key}"][0] &&
      sum([for part in regexall("([0-9]+)(ms|[smhd]|[KMGT]iB|)", value) : tonumber(part[0]) * lookup(local.units, part[1], 1)]) <= local.bounds["${section}.${key}"][1],
      true
    ) if !startswith(value == null ? "/" : value, "/")] if values != null]))
    error_message = "agent_settings has values that the agent refuses as too small or too large. The bounds, durations in milliseconds and sizes in bytes: ${jsonencode({ for key, bounds in local.of_key : key => bounds if can(var.agent_settings[split(".", key)[0]][split(".", key)[1]]) })}."
  }

  validation {
    condition     = alltrue(flatten([for section, values in var.agent_settings : [for key, value in values : try(length(value) <= local.bounds["${section}.${key}"][1], true) if startswith(value == null ? "" : value, "/")] if values != null]))
    error_message = "agent_settings has paths that are too long: 107 characters for a socket, 4095 for the others."
  }
}

variable "agent_lists" {
  description = "Settings of the agent that are lists, as in its configuration: section, key and values, such as { update = { repositories = [\"registry.example.com/t0rn/collator\"] } }."
  type        = map(map(list(string)))
  default     = {}
  nullable    = false

  validation {
    condition     = try(alltrue(flatten([for keys in values(var.agent_lists) : [for texts in values(keys) : [for text in texts : text != null]]])), false)
    error_message = "agent_lists must have keys with lists of texts in each section, and no null: leave out what has none."
  }

  validation {
    condition     = alltrue(flatten([for section, values in var.agent_lists : [for key, _ in values : can(local.lists[section][key])] if values != null]))
    error_message = "agent_lists has keys that are no lists of the agent's: ${join(", ", flatten([for section, values in var.agent_lists : [for key, _ in values : "${section == "" ? "\"\"" : section}.${key == "" ? "\"\"" : key}" if !can(local.lists[section][key])] if values != null]))}. There are ${join(", ", flatten([for section, keys in local.lists : [for key, _ in keys : "${section}.${key}"]]))}; collator_command, collator_ports and collator_mounts are variables of their own."
  }

  validation {
    condition = alltrue(flatten([for section, values in var.agent_lists : [for key, texts in values : [
      for text in texts == null ? [] : texts : !can(local.lists[section][key]) || (can(regex(local.patterns[local.lists[section][key]], text)) && try(length(text) <= 255, true))
    ]] if values != null]))
    error_message = "agent_lists has values that do not fit: ${join(", ", flatten([for section, values in var.agent_lists : [for key, texts in values : [for text in texts == null ? [] : texts : "${section}.${key} (a ${local.lists[section][key]})" if can(local.lists[section][key]) && !can(regex(local.patterns[local.lists[section][key]], text))]] if values != null]))}. A capability is such as NET_BIND_SERVICE, a domain such as collator-1.example.com, a repository such as registry.example.com/t0rn/collator, without a tag."
  }
}
