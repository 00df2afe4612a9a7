// Alerts and dashboard of t0rn-agent in the form of a monitoring mixin: https://monitoring.mixins.dev
local withRunbook(config, group) = group {
  rules: [
    rule { annotations+: { runbook_url: config.runbookURL % std.asciiLower(rule.alert) } }
    for rule in group.rules
  ],
};

(import 'config.libsonnet') +
(import 'alerts/agent.libsonnet') +
(import 'alerts/collator.libsonnet') +
(import 'alerts/chain.libsonnet') +
(import 'alerts/host.libsonnet') +
(import 'alerts/remote.libsonnet') +
(import 'dashboard/dashboard.libsonnet') +
{
  local config = self._config,
  prometheusAlerts+:: { groups: [withRunbook(config, group) for group in super.groups] },
  // Of a central Prometheus, which the agents' hosts write to.
  prometheusRemoteAlerts+:: { groups: [withRunbook(config, group) for group in super.groups] },
}
