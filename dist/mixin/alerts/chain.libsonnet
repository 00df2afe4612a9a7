// Alerts of the group t0rn-chain.
{
  prometheusAlerts+:: {
    groups+: [{
      name: 't0rn-chain',
      rules: [
        // A collator may be alone by design: then the agent does not call it isolated.
        {
          alert: 'T0rnNoPeers',
          expr: 'max_over_time(t0rn_agent_chain_peers{%(selector)s}[5m]) == 0 and on (job, instance) t0rn_agent_problem{%(selector)s, cause="isolated"} == 1' % $._config,
          'for': '10m',
          labels: { severity: 'critical' },
          annotations: {
            summary: '{{ $labels.instance }}: the {{ $labels.chain }} has no peers',
            remedy: "t0rn-agent check; ss -lntu; open the peers' port (33333) in the firewall and check the bootnodes",
          },
        },
        {
          alert: 'T0rnFarBehind',
          expr: 'min_over_time(t0rn_agent_chain_behind_blocks{%(selector)s}[15m]) > 100 and on (job, instance) max_over_time(t0rn_agent_phase{%(selector)s, phase="synced"}[1d]) == 1' % $._config,
          'for': '5m',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: the {{ $labels.chain }} was in sync today and is {{ $value }} blocks behind now',
            remedy: 't0rn-agent status; t0rn-agent logs -n 200; uptime; df -h',
          },
        },
        {
          alert: 'T0rnFallingBehind',
          expr: 't0rn_agent_problem{%(selector)s, cause="falling_behind"} == 1' % $._config,
          'for': '10m',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: blocks arrive more slowly than the chain makes them',
            remedy: 't0rn-agent status; uptime; docker stats --no-stream t0rn-collator; take a faster machine or disk',
          },
        },
        {
          alert: 'T0rnChainQuiet',
          expr: 't0rn_agent_problem{%(selector)s, cause="quiet"} == 1' % $._config,
          'for': '30m',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: at its target and without a new block; the node is left alone',
            remedy: "t0rn-agent status; ask the chain's other collators; set chains.*.reference, then the agent can tell whose fault it is",
          },
        },
        {
          alert: 'T0rnFinalityStalled',
          expr: 't0rn_agent_problem{%(selector)s, cause="finality_stalled"} == 1' % $._config,
          'for': '10m',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: finality stands still while new blocks arrive',
            remedy: 't0rn-agent status; compare with another node of the chain; set chains.*.reference',
          },
        },
        {
          alert: 'T0rnSyncTooSlow',
          expr: 't0rn_agent_problem{%(selector)s, cause="sync_too_slow"} == 1' % $._config,
          'for': '30m',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: the first sync does not come closer to its target',
            remedy: 't0rn-agent status; take a faster disk or machine, or start from a snapshot',
          },
        },
        {
          alert: 'T0rnExporterSilent',
          expr: 't0rn_agent_problem{%(selector)s, cause=~"blind|no_exporter"} == 1' % $._config,
          'for': '10m',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: an exporter of the node does not answer, so a chain cannot be judged',
            remedy: 't0rn-agent check; curl -s http://127.0.0.1:7001/metrics | head; curl -s http://127.0.0.1:9616/metrics | head',
          },
        },
        {
          alert: 'T0rnNoCollations',
          expr: 'increase(t0rn_agent_collations_built_total{%(selector)s}[2h]) == 0 and max_over_time(t0rn_agent_collations_built_total{%(selector)s}[2d]) > 0 and on (job, instance) count_over_time((t0rn_agent_phase{%(selector)s, phase="synced"} == 1)[2h:1m]) >= 115' % $._config,
          'for': '10m',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: in sync, it built blocks before, and none for two hours',
            remedy: 't0rn-agent logs -n 500; is its account still a collator, is its session key the registered one? t0rn-agent check',
          },
        },
        {
          alert: 'T0rnCollationsNotFetched',
          expr: 'increase(t0rn_agent_collations_built_total{%(selector)s}[1h]) > 10 and increase(t0rn_agent_collations_sent_total{%(selector)s}[1h]) == 0' % $._config,
          'for': '30m',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.instance }}: it builds blocks and no validator fetches them',
            remedy: 't0rn-agent status (peers of the relay chain); chronyc tracking; t0rn-agent logs -n 500',
          },
        },
      ],
    }],
  },
}
