// The alert of a central Prometheus, which agents write to.
{
  prometheusRemoteAlerts+:: {
    groups+: [{
      name: 't0rn-agent-remote',
      rules: [
        {
          alert: 'T0rnAgentSilent',
          expr: 'max by (job, instance) (max_over_time(up{%(selector)s}[6h])) unless on (job, instance) up{%(selector)s}' % $._config,
          'for': '5m',
          labels: { severity: 'critical' },
          annotations: {
            summary: '{{ $labels.instance }}: nothing has arrived for minutes, though it did within six hours',
            remedy: 'provision/fleet --tag Stack={{ $labels.instance }}; on the host: systemctl status prometheus t0rn-agent',
          },
        },
      ],
    }],
  },
}
