// The dashboard: one agent or several, of any Prometheus.
local p = import 'panel.libsonnet';
local panels = (import 'collator.libsonnet') + (import 'host.libsonnet');

local annotation(name, color, expr, title) = {
  name: name,
  datasource: p.datasource,
  enable: true,
  iconColor: color,
  expr: expr % { 'in': 'job=~"$job", instance=~"$instance"' },
  titleFormat: title,
};

// A choice among the values of a label; all of them at first.
local choice(name, label, series) = {
  name: name,
  label: label,
  type: 'query',
  datasource: p.datasource,
  query: 'label_values(%s, %s)' % [series, name],
  refresh: 2,
  includeAll: true,
  multi: true,
  allValue: '.+',
  current: { text: 'All', value: '$__all' },
};

{
  grafanaDashboards+:: {
    't0rn-agent.json': {
      title: 't0rn-agent',
      uid: 't0rn-agent',
      tags: $._config.dashboardTags,
      schemaVersion: 38,
      version: 1,
      // A copy can be edited; this one is replaced by the next version.
      editable: false,
      refresh: '30s',
      timezone: 'browser',
      time: { from: 'now-24h', to: 'now' },
      annotations: {
        list: [
          annotation('Agent started', 'blue', 'changes(t0rn_agent_start_time_seconds{%(in)s}[1m]) > 0', 'agent started'),
          annotation('Paused', 'orange', 't0rn_agent_paused{%(in)s} == 1', 'paused'),
        ],
      },
      templating: {
        list: [
          { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', current: { text: 'default', value: 'default' } },
          choice('job', 'Job', 't0rn_agent_build_info'),
          choice('instance', 'Instance', 't0rn_agent_build_info{job=~"$job"}'),
        ],
      },
      panels: [panels[i] { id: i + 1 } for i in std.range(0, std.length(panels) - 1)],
    },
  },
}
