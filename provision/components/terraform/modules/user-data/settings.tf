# What may be set in the agent's configuration beside the variables of their own: section, key, and what its value looks
# like. notify.webhook is not among them: it is a secret, and user-data is none.
locals {
  settings = {
    agent = { state_dir = "path", socket = "socket", docker = "socket" }
    collator = {
      container    = "name", pull = "pull", network = "name", user = "user", stop_timeout = "duration", memory = "size", nofile = "number",
      log_max_size = "size", log_max_files = "number", registry_auth = "path", cosign_key = "path", no_new_privileges = "bool", pids_limit = "number",
      read_only    = "bool"
    }
    data = { path = "path", target = "path" }
    health = {
      scrape_interval = "duration", scrape_timeout = "duration", startup_grace = "duration", lag_blocks = "number", stall_after = "duration",
      isolated_after  = "duration", frozen_after = "duration", finality_after = "duration", activity_extension = "number", activity_bytes = "size"
    }
    restart = {
      backoff_initial = "duration", backoff_max = "duration", backoff_reset = "duration", start_timeout = "duration", budget = "number",
      budget_window   = "duration"
    }
    host     = { disk_warn_percent = "number", disk_floor = "size", clock_warn = "duration", memory_warn_percent = "number" }
    metrics  = { listen = "address" }
    notify   = { format = "format", no_collation_after = "duration" }
    ec2      = { enabled = "switch", imds = "url", lifecycle_hook = "hook" }
    update   = { probation = "duration", auto = "bool", check_every = "duration", keep_images = "number" }
    identity = { required = "bool", volume = "volume", mount = "path", without_volume = "fallback" }
  }

  # What may be set as a list: section, key, and what each of its values looks like.
  lists = {
    collator = { cap_add = "capability" }
    metrics  = { hosts = "domain" }
    update   = { repositories = "repository" }
  }

  # The sections in the order of the agent's own default configuration.
  order = ["agent", "collator", "data", "health", "restart", "host", "metrics", "notify", "ec2", "update", "identity"]

  octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
  ipv4  = "${local.octet}(\\.${local.octet}){3}"
  port  = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
  label = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
  part  = "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"
  # A host whose last part begins with a digit would be read as an address.
  host = "(${local.ipv4}|\\[::1\\]|([A-Za-z0-9-]+\\.)*[A-Za-z][A-Za-z0-9-]*)"

  patterns = {
    address    = "^(|(\\[::1?\\]|${local.ipv4}):${local.port})$"
    bool       = "^(true|false)$"
    capability = "^(CAP_)?[A-Z_]+$"
    domain     = "^[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)*$"
    duration   = "^([0-9]{1,9}(ms|s|m|h|d))+$"
    fallback   = "^(nothing|full_node)$"
    format     = "^(json|slack|discord|telegram)$"
    hook       = "^[A-Za-z0-9_/-]{0,255}$"
    image      = "^(${local.label}(\\.${local.label})*(:${local.port})?/)?${local.part}(/${local.part})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?@sha256:[0-9a-f]{64})$"
    name       = "^[A-Za-z0-9][A-Za-z0-9_.-]{1,127}$"
    number     = "^(0|[1-9][0-9]{0,9})$"
    path       = "^(/\\.?[A-Za-z0-9_-][A-Za-z0-9_.-]*)+/?$"
    port       = "^(${local.ipv4}:)?${local.port}:${local.port}(/(tcp|udp))?$"
    prefix     = "^[A-Za-z]([A-Za-z0-9_]{0,62}[A-Za-z0-9])?$"
    pull       = "^(always|missing|never)$"
    repository = "^(${local.label}(\\.${local.label})*(:${local.port})?/)?${local.part}(/${local.part})*$"
    size       = "^[0-9]{1,16}((Ki|Mi|Gi|Ti)B)?$"
    socket     = "^(/\\.?[A-Za-z0-9_-][A-Za-z0-9_.-]*)+/?$"
    switch     = "^(auto|true|false)$"
    text       = "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f]*$"
    url        = "^http://${local.host}(:${local.port})?(/[A-Za-z0-9._/-]*)?$"
    user       = "^(|[0-9]{1,9}:[0-9]{1,9})$"
    volume     = "^vol-[0-9a-f]{8,17}$"
  }

  units = {
    ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000
    B  = 1, KiB = pow(2, 10), MiB = pow(2, 20), GiB = pow(2, 30), TiB = pow(2, 40)
  }

  # The agent's own bounds: of numbers, of durations in milliseconds, of sizes in bytes, and of paths in characters.
  of_kind = { path = [2, 4095], socket = [2, 107] }
  of_key = {
    "collator.stop_timeout"     = [1000, local.units.h]
    "collator.memory"           = [6 * local.units.MiB, 1024 * local.units.TiB]
    "collator.nofile"           = [1024, 1073741816]
    "collator.log_max_size"     = [64 * local.units.KiB, 1024 * local.units.TiB]
    "collator.log_max_files"    = [1, 1000]
    "collator.pids_limit"       = [0, 4194304]
    "health.scrape_interval"    = [100, local.units.h]
    "health.scrape_timeout"     = [50, local.units.h]
    "health.startup_grace"      = [1000, 7 * local.units.d]
    "health.lag_blocks"         = [0, 1000000]
    "health.stall_after"        = [1000, 7 * local.units.d]
    "health.isolated_after"     = [1000, 7 * local.units.d]
    "health.frozen_after"       = [1000, 7 * local.units.d]
    "health.finality_after"     = [1000, 7 * local.units.d]
    "health.activity_extension" = [1, 100]
    "health.activity_bytes"     = [1, local.units.TiB]
    "restart.backoff_initial"   = [100, local.units.d]
    "restart.backoff_max"       = [100, local.units.d]
    "restart.backoff_reset"     = [1000, 7 * local.units.d]
    "restart.start_timeout"     = [1000, local.units.h]
    "restart.budget"            = [0, 100]
    "restart.budget_window"     = [1000, 30 * local.units.d]
    "host.disk_warn_percent"    = [0, 99]
    "host.disk_floor"           = [0, 1024 * local.units.TiB]
    "host.clock_warn"           = [1, local.units.h]
    "host.memory_warn_percent"  = [0, 100]
    "notify.no_collation_after" = [0, 7 * local.units.d]
    "update.probation"          = [1000, 7 * local.units.d]
    "update.check_every"        = [1000, 30 * local.units.d]
    "update.keep_images"        = [2, 1000]
  }
  bounds = merge(flatten([for section, keys in local.settings : [for key, kind in keys : {
    "${section}.${key}" = lookup(local.of_key, "${section}.${key}", lookup(local.of_kind, kind, null))
  }]])...)

  # In TOML these stand without quotes.
  bare = ["number", "bool"]

  # Names and forms under which secrets come, and well-known keys. The names are those of the agent's own
  # redaction (agent/daemon/src/recorder/redact/names.rs), whose tests compare them.
  secrets = {
    argument = "(?i)^--?(node-key|suri|password|keystore-password|dev|one|two|alice|bob|charlie|dave|eve|ferdie)(=|$)"
    variable = "(?i)(secret|passw|passphrase|token|mnemonic|seed|suri|private|credential|webhook|cookie|apikey|api_key|(^|_)(pass|pwd|auth|authorization|phrase)(_|$)|key$)"
    place    = "(?i)_(file|path)$"
    url      = "://[^/@[:space:]]*:[^/@[:space:]]*@"
  }
}
