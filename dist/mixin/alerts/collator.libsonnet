// Alerts of the group t0rn-collator.
{
  prometheusAlerts+:: {
    groups+: [{
      name: 't0rn-collator',
      rules: [
        {
          alert: 'T0rnCollatorDown',
          expr: 't0rn_agent_container_running{%(selector)s} == 0 unless on (job, instance) t0rn_agent_phase{%(selector)s, phase=~"stopped|holding|pulling"} == 1' % $._config,
          'for': '5m',
          labels: { severity: 'critical' },
          annotations: {
            summary: '{{ $labels.instance }}: the collator does not run although it should',
            remedy: 't0rn-agent status; t0rn-agent logs -n 200; t0rn-agent start',
          },
        },
        {
          alert: 'T0rnCollatorStopped',
          expr: 't0rn_agent_phase{%(selector)s, phase="stopped"} == 1' % $._config,
          'for': '1h',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: the collator has been stopped by an operator for an hour',
            remedy: 't0rn-agent start',
          },
        },
        {
          alert: 'T0rnCollatorHolding',
          expr: 't0rn_agent_phase{%(selector)s, phase="holding"} == 1' % $._config,
          'for': '1m',
          labels: { severity: 'critical' },
          annotations: {
            summary: '{{ $labels.instance }}: the agent keeps the collator down, since a restart would not cure it or would harm',
            remedy: 't0rn-agent status; do what its reasons say; t0rn-agent start',
          },
        },
        {
          alert: 'T0rnCollatorStuck',
          expr: 't0rn_agent_phase{%(selector)s, phase=~"stalled|frozen"} == 1 unless on (job, instance) t0rn_agent_problem{%(selector)s, cause="blind"} == 1' % $._config,
          'for': '10m',
          labels: { severity: 'critical' },
          annotations: {
            summary: '{{ $labels.instance }}: the collator is {{ $labels.phase }} and the agent has not cured it',
            remedy: 't0rn-agent status (it says what comes next); t0rn-agent logs -n 200; t0rn-agent restart --reason stuck',
          },
        },
        {
          alert: 'T0rnCollatorCrashLoop',
          expr: 't0rn_agent_problem{%(selector)s, cause="crash_loop"} == 1' % $._config,
          'for': '1m',
          labels: { severity: 'critical' },
          annotations: {
            summary: '{{ $labels.instance }}: the collator exits again and again',
            remedy: 't0rn-agent logs -n 200; t0rn-agent incidents; when the cause is mended: t0rn-agent start',
          },
        },
        {
          alert: 'T0rnCollatorRestartsOften',
          expr: 'sum by (job, instance) (increase(t0rn_agent_restarts_total{%(selector)s, cause!~"operator|spec_changed|update|stopped_by_person"}[6h])) > 4' % $._config,
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: {{ $value | humanize }} restarts of the collator within six hours',
            remedy: 't0rn-agent incidents; t0rn-agent logs -n 500',
          },
        },
        {
          alert: 'T0rnCollatorOutOfMemory',
          expr: 'increase(t0rn_agent_restarts_total{%(selector)s, cause="out_of_memory"}[1h]) > 0' % $._config,
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: the collator was killed for using too much memory',
            remedy: 'free -m; docker stats --no-stream t0rn-collator; raise collator.memory or take a larger machine',
          },
        },
        {
          alert: 'T0rnRestartsNotHelping',
          expr: 't0rn_agent_problem{%(selector)s, cause="not_helping"} == 1' % $._config,
          'for': '1m',
          labels: { severity: 'critical' },
          annotations: {
            summary: '{{ $labels.instance }}: restarts did not help, so the agent has given them up',
            remedy: 't0rn-agent incidents; t0rn-agent logs -n 500; when the cause is mended: t0rn-agent resume',
          },
        },
        {
          alert: 'T0rnRestartBudgetSpent',
          expr: 't0rn_agent_restart_budget_left{%(selector)s} == 0 and t0rn_agent_restart_budget{%(selector)s} > 0' % $._config,
          'for': '5m',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: the budget of health restarts is spent, so the next fault waits for its window',
            remedy: 't0rn-agent incidents; t0rn-agent logs -n 500; if it is stuck now: t0rn-agent restart --reason budget',
          },
        },
        {
          alert: 'T0rnCollatorCritical',
          expr: 't0rn_agent_health{%(selector)s, state="critical"} == 1 unless on (job, instance) t0rn_agent_phase{%(selector)s, phase="stopped"} == 1' % $._config,
          'for': '10m',
          labels: { severity: 'critical' },
          annotations: {
            summary: "{{ $labels.instance }}: the collator's health has been critical for ten minutes",
            remedy: 't0rn-agent status',
          },
        },
        {
          alert: 'T0rnCollatorDegraded',
          expr: 't0rn_agent_health{%(selector)s, state="degraded"} == 1' % $._config,
          'for': '6h',
          labels: { severity: 'warning' },
          annotations: {
            summary: "{{ $labels.instance }}: the collator's health has been degraded for six hours",
            remedy: 't0rn-agent status',
          },
        },
        {
          alert: 'T0rnCollatorUnknown',
          expr: 't0rn_agent_health{%(selector)s, state="unknown"} == 1' % $._config,
          'for': '30m',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: for half an hour the state of the collator has been unknown',
            remedy: 't0rn-agent status; t0rn-agent check',
          },
        },
        {
          alert: 'T0rnPullTakesLong',
          expr: 't0rn_agent_phase{%(selector)s, phase="pulling"} == 1' % $._config,
          'for': '1h',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: the image has been pulled for an hour',
            remedy: 't0rn-agent status; t0rn-agent check; df -h /var/lib/docker',
          },
        },
        {
          alert: 'T0rnActionFailed',
          expr: 't0rn_agent_problem{%(selector)s, cause="action_failed"} == 1' % $._config,
          'for': '10m',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: what the agent does to the container fails',
            remedy: 't0rn-agent status (it says which action and why); t0rn-agent check',
          },
        },
      ],
    }],
  },
}
