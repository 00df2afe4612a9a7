// The shipped files: jsonnet --string --multi dist dist/mixin/render.jsonnet
local mixin = import 'mixin.libsonnet';

// One rule in a form that people read: an expression as it is typed, and texts in quotes.
local rule(alert) =
  '      - alert: %s\n        expr: %s\n' % [alert.alert, alert.expr]
  + (if std.objectHas(alert, 'for') then '        for: %s\n' % alert['for'] else '')
  + '        labels: {severity: %s}\n        annotations:\n' % alert.labels.severity
  + std.join('', [
    '          %s: %s\n' % [key, std.escapeStringJson(alert.annotations[key])]
    for key in ['summary', 'remedy', 'runbook_url']
  ]);

local group(group) =
  '  - name: %s\n    rules:\n%s' % [group.name, std.join('', [rule(alert) for alert in group.rules])];

local rules(head, groups) = head + 'groups:\n' + std.join('\n', [group(one) for one in groups]);

{
  'prometheus/alerts.yml': rules(|||
    # What an operator of collators has to act on. Every rule names what to type; docs/alerts.md says more about each.
    # The job has to be called t0rn-agent, as in scrape.yml. Rendered from dist/mixin, where the job can be set.
    # Tests: promtool test rules alerts.test.yml
  |||, mixin.prometheusAlerts.groups),
  'prometheus/remote.yml': rules(|||
    # Beside alerts.yml where agents write to a central Prometheus (remote_write): a host that is gone has no series, not even an `up` of 0.
    # Rendered from dist/mixin. Tests: promtool test rules remote.test.yml
  |||, mixin.prometheusRemoteAlerts.groups),
  'grafana/t0rn-agent.json': std.manifestJsonEx(mixin.grafanaDashboards['t0rn-agent.json'], '  ') + '\n',
}
