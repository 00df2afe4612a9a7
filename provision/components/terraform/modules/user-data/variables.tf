variable "image" {
  description = "The collator's container image, with a tag or a digest."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._/:-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "image must have a tag other than latest, or a digest, such as 3h4xx/t0rn-collator:v1.2.0-rc.4: otherwise two instances of one configuration would run two versions."
  }
}

variable "command" {
  description = "Arguments of the image's entrypoint; with none, the image's own."
  type        = list(string)
  default     = []

  validation {
    condition     = !anytrue([for argument in var.command : can(regex("(?i)^--(node-key|suri|password|keystore-password)(=|$)", argument)) || can(regex("(?i)^--(alice|bob|charlie|dave|eve|ferdie)$", argument))])
    error_message = "command must carry no key, seed or password: user-data is read by whoever may look at the launch template. Use --node-key-file and a keystore on the identity volume."
  }
}

variable "env" {
  description = "Environment of the collator; no secrets, since user-data is read by whoever may look at the launch template."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.env) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))])
    error_message = "env must have names of letters, digits and underscores, such as RUST_LOG."
  }

  validation {
    condition     = !anytrue([for name in keys(var.env) : can(regex("(?i)(secret|password|passwd|token|mnemonic|seed|suri|private|credential|api_?key)", name))])
    error_message = "env must carry no secret: user-data is read by whoever may look at the launch template. Put it into a file on the identity volume."
  }
}

variable "ports" {
  description = "Ports to publish, [ADDRESS:]HOST:CONTAINER[/PROTOCOL]; null for the agent's default."
  type        = list(string)
  default     = null

  validation {
    condition     = alltrue([for port in coalesce(var.ports, []) : can(regex("^([0-9.]+:)?[0-9]{1,5}:[0-9]{1,5}(/(tcp|udp))?$", port))])
    error_message = "ports must be [ADDRESS:]HOST:CONTAINER[/PROTOCOL], such as 33333:33333/tcp or 127.0.0.1:7001:7001/tcp."
  }
}

variable "mounts" {
  description = "Further directories of the host for the container, such as the keystore."
  type        = list(object({ source = string, target = string, read_only = optional(bool, false) }))
  default     = []

  validation {
    condition     = alltrue(flatten([for mount in var.mounts : [for path in [mount.source, mount.target] : can(regex(local.patterns.path, path))]]))
    error_message = "mounts must have absolute paths as source and target, such as /var/lib/t0rn-identity/keystore and /node/keystore."
  }
}

variable "chains" {
  description = "The node's exporters, parachain and relaychain; empty for the agent's default."
  type        = map(object({ metrics = string, prefix = optional(string) }))
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.chains), ["parachain", "relaychain"])) == 0
    error_message = "chains must be parachain, relaychain or both."
  }

  validation {
    condition     = alltrue([for chain in values(var.chains) : can(regex(local.patterns.url, chain.metrics)) && can(regex("^[A-Za-z_]+$", coalesce(chain.prefix, "substrate")))])
    error_message = "chains must have the URL of an exporter as metrics, such as http://127.0.0.1:7001/metrics, and letters as prefix, such as substrate."
  }
}

variable "settings" {
  description = "Further settings of the agent, as in its configuration: section, key and value, such as { health = { stall_after = \"10m\" } }."
  type        = map(map(string))
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.settings), local.order)) == 0
    error_message = "settings has sections that the agent does not know, or that are variables of their own: ${join(", ", setsubtract(keys(var.settings), local.order))}. There are ${join(", ", local.order)}."
  }

  validation {
    condition     = alltrue(flatten([for section, values in var.settings : [for key, _ in values : !contains(keys(local.settings), section) || contains(keys(try(local.settings[section], {})), key)]]))
    error_message = "settings has keys that the agent does not know or that may not be in user-data: ${join(", ", flatten([for section, values in var.settings : [for key, _ in values : "${section}.${key}" if !contains(keys(try(local.settings[section], {})), key)]]))}. `t0rn-agent config default` shows them all; notify.webhook is a secret and is set on the host."
  }

  validation {
    condition     = alltrue(flatten([for section, values in var.settings : [for key, value in values : can(regex(local.patterns[local.settings[section][key]], value)) || !can(local.settings[section][key])]]))
    error_message = "settings has values that do not fit: ${join(", ", flatten([for section, values in var.settings : [for key, value in values : "${section}.${key} (a ${local.settings[section][key]})" if can(local.settings[section][key]) && !can(regex(local.patterns[local.settings[section][key]], value))]]))}. Durations are such as 30s, 5m or 1h30m, sizes such as 50MiB or 2GiB, paths begin with a slash; `t0rn-agent config default` shows one of each."
  }
}
