# Values that fit by themselves and contradict each other: the agent refuses such a configuration when it starts
# (agent/config/src/validate.rs). They are preconditions of an output, since validations of variables that look at each other would
# wait for each other.
locals {
  # What holds where a key is not set; tests/check compares it with the agent's own.
  defaults = {
    "agent.state_dir"         = "/var/lib/t0rn-agent"
    "agent.socket"            = "/run/t0rn-agent/agent.sock"
    "agent.docker"            = "/var/run/docker.sock"
    "collator.network"        = "bridge"
    "data.path"               = "/var/lib/t0rn-collator"
    "data.target"             = "/node/data"
    "health.scrape_interval"  = "5s"
    "health.scrape_timeout"   = "3s"
    "health.stall_after"      = "5m"
    "health.isolated_after"   = "5m"
    "health.frozen_after"     = "2m"
    "restart.backoff_initial" = "1s"
    "restart.backoff_max"     = "5m"
    "metrics.listen"          = "127.0.0.1:9733"
    "ec2.enabled"             = "auto"
    "identity.required"       = "false"
    "identity.volume"         = ""
    "identity.mount"          = "/var/lib/t0rn-identity"
  }
  default_ports = ["33333:33333/tcp", "127.0.0.1:7001:7001/tcp", "127.0.0.1:9616:9616/tcp"]

  # Without a slash at the end, as the agent compares paths.
  held = { for key, default in local.defaults : key => trimsuffix(try(var.agent_settings[split(".", key)[0]][split(".", key)[1]], default), "/") }
  ms = {
    for key, value in local.held : key => sum([for part in regexall("([0-9]+)(ms|[smhd])", value) : tonumber(part[0]) * local.units[part[1]]])
    if startswith(key, "health.") || startswith(key, "restart.")
  }

  # Directories of the operating system, and those in which many programs have one each.
  system = ["/bin", "/boot", "/etc", "/lib", "/proc", "/sbin", "/sys", "/usr"]
  shared = ["/home", "/opt", "/root", "/run", "/var", "/var/lib"]

  fenced = local.held["identity.required"] == "true"

  # Which socket of the host each port takes; without an address it is that of every one. On the host's network the default is none.
  published = [
    for port in var.collator_ports != null ? var.collator_ports : local.held["collator.network"] == "host" ? [] : local.default_ports :
    regex("^(?:(?P<address>[0-9.]+):)?(?P<host>[0-9]+):[0-9]+(?:/(?P<protocol>tcp|udp))?$", port)
  ]
  sockets = [for port in local.published : {
    port    = "${port.host}/${coalesce(port.protocol, "tcp")}"
    address = port.address == null || port.address == "0.0.0.0" ? "" : port.address
  }]
  twice = distinct(flatten([for i, one in local.sockets : [
    for other in slice(local.sockets, 0, i) : one.port if one.port == other.port && (one.address == "" || other.address == "" || one.address == other.address)
  ]]))
  listen = try(regex("^(?P<address>.+):(?P<port>[0-9]+)$", local.held["metrics.listen"]), null)
  listened = local.listen == null ? [] : distinct([
    for socket in local.sockets : socket.port
    if socket.port == "${local.listen.port}/tcp" && (socket.address == "" || contains(["0.0.0.0", "[::]", socket.address], local.listen.address))
  ])

  targets = [for path in concat([local.held["data.target"]], var.collator_mounts[*].target) : trimsuffix(path, "/")]
  mounted = distinct([for i, target in local.targets : target if contains(slice(local.targets, 0, i), target)])

  # Each with its keys and what to do.
  contradictions = concat(
    can(var.agent_settings["health"]["scrape_timeout"]) && local.ms["health.scrape_timeout"] > local.ms["health.scrape_interval"] ?
    ["health.scrape_timeout, ${local.held["health.scrape_timeout"]}, is longer than health.scrape_interval, ${local.held["health.scrape_interval"]}: shorten the timeout, for scrapes would pile up"] : [],
    [
      for key in ["stall_after", "isolated_after", "frozen_after"] :
      "health.${key}, ${local.held["health.${key}"]}, is less than twice health.scrape_interval, ${local.held["health.scrape_interval"]}: lengthen the window, for a single sample proves nothing, or shorten the interval"
      if local.ms["health.${key}"] < 2 * local.ms["health.scrape_interval"]
    ],
    local.ms["restart.backoff_initial"] > local.ms["restart.backoff_max"] ?
    ["restart.backoff_initial, ${local.held["restart.backoff_initial"]}, is longer than restart.backoff_max, ${local.held["restart.backoff_max"]}: shorten the first or lengthen the second"] : [],
    local.held["agent.state_dir"] == local.held["data.path"] ?
    ["agent.state_dir and data.path are both ${local.held["data.path"]}: give the agent a directory of its own, for the collator may write to its data"] : [],
    contains(local.shared, local.held["data.path"]) || anytrue([for path in local.system : startswith("${local.held["data.path"]}/", "${path}/")]) ?
    ["data.path, ${local.held["data.path"]}, is the system's: give the collator a directory of its own, such as /var/lib/t0rn-collator"] : [],
    local.held["agent.socket"] == local.held["agent.docker"] ?
    ["agent.socket and agent.docker are both ${local.held["agent.docker"]}: give the agent a socket of its own"] : [],
    local.fenced && (startswith("${local.held["identity.mount"]}/", "${local.held["data.path"]}/") || startswith("${local.held["data.path"]}/", "${local.held["identity.mount"]}/")) ?
    ["data.path, ${local.held["data.path"]}, and the identity volume's place, ${local.held["identity.mount"]}, lie in each other: choose another data.path, for chain data is copied, replaced and thrown away"] : [],
    local.fenced && local.held["identity.volume"] != "" && local.held["ec2.enabled"] == "false" ?
    ["ec2.enabled is false, and the identity volume is one of EC2's: leave ec2.enabled out, or set identity_fence to null to have no fence"] : [],
    local.held["collator.network"] == "host" && length(local.sockets) > 0 ?
    ["collator.network is host, and collator_ports publishes ${join(", ", local.sockets[*].port)}: set collator_ports to [], for on the host's network every port is the host's, or leave collator.network out"] : [],
    [for port in local.twice : "collator_ports publishes ${port} of the host twice: leave one of them out, or give each an address of its own"],
    [for port in local.listened : "${port} of the host is published by collator_ports and is also metrics.listen, ${local.held["metrics.listen"]}: give one of them another port"],
    try(var.chains["parachain"].metrics == var.chains["relaychain"].metrics, false) ?
    ["both of chains have the exporter ${var.chains["parachain"].metrics}: write each chain's own, for the node has two exporters"] : [],
    [for target in local.mounted : "${target} is mounted twice, by collator_mounts or data.target: give each mount a target of its own"],
  )
}
