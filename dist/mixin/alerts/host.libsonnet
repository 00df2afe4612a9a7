// Alerts of the group t0rn-host.
{
  prometheusAlerts+:: {
    groups+: [{
      name: 't0rn-host',
      rules: [
        {
          alert: 'T0rnDiskLow',
          expr: 't0rn_agent_disk_free_bytes{%(selector)s} / t0rn_agent_disk_total_bytes{%(selector)s} and on (job, instance) t0rn_agent_problem{%(selector)s, cause="disk_low"} == 1' % $._config,
          'for': '5m',
          labels: { severity: 'warning' },
          annotations: {
            summary: "{{ $labels.instance }}: {{ $value | humanizePercentage }} of the chain data's disk is free",
            remedy: 'df -h /var/lib/t0rn-collator; du -xsh /var/lib/t0rn-collator/*; add space',
          },
        },
        {
          alert: 'T0rnDiskFullSoon',
          expr: 't0rn_agent_disk_full_in_seconds{%(selector)s} < 86400' % $._config,
          'for': '1h',
          labels: { severity: 'warning' },
          annotations: {
            summary: "{{ $labels.instance }}: the chain data's disk will be full within a day",
            remedy: 'df -h /var/lib/t0rn-collator; du -xsh /var/lib/t0rn-collator/*; add space',
          },
        },
        {
          alert: 'T0rnDiskFull',
          expr: 't0rn_agent_problem{%(selector)s, cause="disk_full"} == 1' % $._config,
          'for': '1m',
          labels: { severity: 'critical' },
          annotations: {
            summary: '{{ $labels.instance }}: the disk is nearly full, so the collator was stopped before it breaks its database',
            remedy: 'df -h /var/lib/t0rn-collator; df -i /var/lib/t0rn-collator; free or add space (it starts again by itself)',
          },
        },
        {
          alert: 'T0rnEc2Notice',
          expr: 't0rn_agent_problem{%(selector)s, cause=~"spot_interruption|termination|scheduled_stop|maintenance|rebalance"} == 1' % $._config,
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: EC2 announces: {{ $labels.cause }}',
            remedy: 't0rn-agent status; have a replacement ready (the collator is stopped in time where that is needed)',
          },
        },
        {
          alert: 'T0rnMemoryLow',
          expr: 't0rn_agent_memory_available_bytes{%(selector)s} < 200 * 1024 * 1024' % $._config,
          'for': '10m',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: the host has {{ $value | humanize1024 }}B of memory left',
            remedy: 'free -m; docker stats --no-stream; take a larger machine',
          },
        },
        {
          alert: 'T0rnClockOff',
          expr: 'abs(t0rn_agent_clock_offset_seconds{%(selector)s}) and on (job, instance) t0rn_agent_problem{%(selector)s, cause="clock_off"} == 1' % $._config,
          'for': '5m',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: the clock is off by {{ $value | humanizeDuration }}, and collating needs exact time',
            remedy: 'chronyc tracking; systemctl restart chrony; chronyc makestep',
          },
        },
        {
          alert: 'T0rnNetworkDown',
          expr: 't0rn_agent_network_ok{%(selector)s} == 0' % $._config,
          'for': '5m',
          labels: { severity: 'critical' },
          annotations: {
            summary: '{{ $labels.instance }}: the host has no default route or no resolver that answers',
            remedy: 'ip route show default; cat /etc/resolv.conf; getent hosts example.com',
          },
        },
      ],
    }],
  },
}
