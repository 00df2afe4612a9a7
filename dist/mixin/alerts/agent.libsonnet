// Alerts of the group t0rn-agent.
{
  prometheusAlerts+:: {
    groups+: [{
      name: 't0rn-agent',
      rules: [
        {
          alert: 'T0rnAgentDown',
          expr: 'up{%(selector)s} == 0' % $._config,
          'for': '2m',
          labels: { severity: 'critical' },
          annotations: {
            summary: '{{ $labels.instance }}: the agent does not answer, so the collator is not supervised',
            remedy: 'systemctl status t0rn-agent; journalctl -u t0rn-agent -n 100; systemctl restart t0rn-agent (the collator goes on running)',
          },
        },
        {
          alert: 'T0rnAgentMissing',
          expr: 'absent(up{%(selector)s})' % $._config,
          'for': '10m',
          labels: { severity: 'critical' },
          annotations: {
            summary: 'Prometheus has no target in its job t0rn-agent, so no other alert can fire',
            remedy: 'promtool check config /etc/prometheus/prometheus.yml, then look at the job t0rn-agent on the page Status > Targets',
          },
        },
        {
          alert: 'T0rnAgentHangs',
          expr: 't0rn_agent_loop_age_seconds{%(selector)s} > 60' % $._config,
          'for': '2m',
          labels: { severity: 'critical' },
          annotations: {
            summary: "{{ $labels.instance }}: the agent's supervision loop has not come round for {{ $value | humanizeDuration }}",
            remedy: 'journalctl -u t0rn-agent -n 100; systemctl restart t0rn-agent (the collator goes on running)',
          },
        },
        {
          alert: 'T0rnAgentFlapping',
          expr: 'changes(t0rn_agent_start_time_seconds{%(selector)s}[1h]) > 3' % $._config,
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: the agent started {{ $value }} times within an hour',
            remedy: 'journalctl -u t0rn-agent --since -1h; t0rn-agent config check',
          },
        },
        {
          alert: 'T0rnAgentPaused',
          expr: 't0rn_agent_paused{%(selector)s} == 1' % $._config,
          'for': '4h',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: automatic actions have been paused for hours',
            remedy: 't0rn-agent status (it says why and until when); t0rn-agent resume',
          },
        },
        {
          alert: 'T0rnDockerUnreachable',
          expr: 't0rn_agent_docker_reachable{%(selector)s} == 0' % $._config,
          'for': '5m',
          labels: { severity: 'critical' },
          annotations: {
            summary: '{{ $labels.instance }}: Docker does not answer, so nothing can be done to the collator',
            remedy: 'systemctl status docker; journalctl -u docker -n 100; systemctl restart docker',
          },
        },
      ],
    }],
  },
}
