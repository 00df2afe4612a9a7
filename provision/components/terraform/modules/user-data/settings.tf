# What may be set in the agent's configuration beside the variables of their own: section, key, and what its value looks
# like. notify.webhook is not among them: it is a secret, and user-data is none.
locals {
  settings = {
    agent = { state_dir = "path", socket = "path", docker = "path" }
    collator = {
      container    = "name", pull = "pull", network = "name", user = "user", stop_timeout = "duration", memory = "size", nofile = "number",
      log_max_size = "size", log_max_files = "number", registry_auth = "path"
    }
    data = { path = "path", target = "path" }
    health = {
      scrape_interval = "duration", scrape_timeout = "duration", startup_grace = "duration", lag_blocks = "number", stall_after = "duration",
      isolated_after  = "duration", frozen_after = "duration", activity_extension = "number", activity_bytes = "size"
    }
    restart = {
      backoff_initial = "duration", backoff_max = "duration", backoff_reset = "duration", start_timeout = "duration", budget = "number",
      budget_window   = "duration"
    }
    host     = { disk_warn_percent = "number", disk_floor = "size", clock_warn = "duration", memory_warn_percent = "number" }
    metrics  = { listen = "address" }
    notify   = { format = "format", no_collation_after = "duration" }
    ec2      = { enabled = "switch", imds = "url", lifecycle_hook = "hook" }
    identity = { required = "bool", volume = "volume", mount = "path", without_volume = "fallback" }
  }

  # The sections in the order of the agent's own default configuration.
  order = ["agent", "collator", "data", "health", "restart", "host", "metrics", "notify", "ec2", "identity"]

  patterns = {
    address  = "^(|(\\[[0-9a-f:]+\\]|[0-9.]+|localhost):[0-9]{1,5})$"
    bool     = "^(true|false)$"
    duration = "^([0-9]+(ms|s|m|h|d))+$"
    fallback = "^(nothing|full_node)$"
    format   = "^(json|slack|discord|telegram)$"
    hook     = "^[A-Za-z0-9_/-]{0,255}$"
    name     = "^[A-Za-z0-9][A-Za-z0-9_.-]*$"
    number   = "^[0-9]+$"
    path     = "^/[A-Za-z0-9_./-]+$"
    pull     = "^(always|missing|never)$"
    size     = "^[0-9]+((Ki|Mi|Gi|Ti)B)?$"
    switch   = "^(auto|true|false)$"
    url      = "^https?://[A-Za-z0-9.:\\[\\]/_-]+$"
    user     = "^(|[0-9]+:[0-9]+)$"
    volume   = "^vol-[0-9a-f]{8,17}$"
  }

  # In TOML these stand without quotes.
  bare = ["number", "bool"]
}
