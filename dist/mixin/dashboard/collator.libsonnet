// The collator: its health, its chains, what was done for it.
local p = import 'panel.libsonnet';
local blue = [['blue', null]];
local oneIsGood = [['red', null], ['green', 1]];

[
  p.stat('Health', 'ok, degraded, critical or unknown; t0rn-agent status says why', 'bool', [0, 0, 4, 4], blue,
         ['t0rn_agent_health{%(in)s} == 1', '{{instance}}: {{state}}'], 'name'),
  p.stat('Phase', 'What the collator is doing; docs/verdicts.md explains each phase', 'bool', [4, 0, 4, 4], blue,
         ['t0rn_agent_phase{%(in)s} == 1', '{{instance}}: {{phase}}'], 'name'),
  p.stat('Collator runs', 'Whether its container runs', 'bool', [8, 0, 3, 4], oneIsGood,
         ['t0rn_agent_container_running{%(in)s}', '{{instance}}']) + p.yesOrNo,
  p.stat('Docker answers', 'Whether the agent reaches the Docker engine', 'bool', [11, 0, 3, 4], oneIsGood,
         ['t0rn_agent_docker_reachable{%(in)s}', '{{instance}}']) + p.yesOrNo,
  p.stat('Blocks behind', "From the best block to the chain's target", 'locale', [14, 0, 3, 4],
         [['green', null], ['orange', 11], ['red', 1000]],
         ['t0rn_agent_chain_behind_blocks{%(in)s}', '{{chain}}']),
  p.stat('Time to sync', 'Only while a chain is syncing and moving', 's', [17, 0, 3, 4], blue,
         ['t0rn_agent_chain_sync_eta_seconds{%(in)s}', '{{chain}}']),
  p.stat('Restarts left', "Health restarts left within the budget's window", 'short', [20, 0, 4, 4],
         [['red', null], ['orange', 1], ['green', 2]],
         ['t0rn_agent_restart_budget_left{%(in)s}', '{{instance}}']),
  p.table('Alerts', 'What fires now; docs/alerts.md says what to do', [0, 4, 12, 6],
          ['ALERTS{alertname=~"T0rn.*", alertstate="firing", %(in)s}']),
  p.table('Problems', "By the agent's own judgement; t0rn-agent status has each in a sentence, with its remedy",
          [12, 4, 12, 6], ['t0rn_agent_problem{%(in)s}']),
  p.timeline('Health over time', 'ok, degraded, critical or unknown', [0, 10, 12, 6],
             ['t0rn_agent_health{%(in)s} == 1', '{{state}}']),
  p.timeline('Phase over time', 'What the collator was doing; docs/verdicts.md explains each phase', [12, 10, 12, 6],
             ['t0rn_agent_phase{%(in)s} == 1', '{{phase}}']),
] + [
  p.timeseries(chain[0], 'Heights by the node: best block, finalized block, and the highest that its peers have',
               'locale', [chain[2], 16, 12, 8], [
                 ['t0rn_agent_chain_best_height{%%(in)s, chain="%s"}' % chain[1], 'best'],
                 ['t0rn_agent_chain_finalized_height{%%(in)s, chain="%s"}' % chain[1], 'finalized'],
                 ['t0rn_agent_chain_target_height{%%(in)s, chain="%s"}' % chain[1], 'target'],
               ])
  for chain in [['Parachain', 'parachain', 0], ['Relay chain', 'relaychain', 12]]
] + [
  p.timeseries('Speed', 'Blocks imported in each second', 'blocks/s', [0, 24, 8, 7],
               [['t0rn_agent_chain_blocks_per_second{%(in)s}', '{{chain}}']]) + p.from(0),
  p.timeseries('Peers', 'Connected peers of each chain', 'short', [8, 24, 8, 7],
               [['t0rn_agent_chain_peers{%(in)s}', '{{chain}}']]) + p.from(0),
  p.timeseries('Time since progress', 'Since the last new block or other progress, and the age of what is known', 's',
               [16, 24, 8, 7], [
                 ['t0rn_agent_chain_progress_age_seconds{%(in)s}', '{{chain}}'],
                 ['t0rn_agent_chain_sample_age_seconds{%(in)s}', '{{chain}}: age of the sample'],
               ]) + p.from(0),
  p.timeseries('Collations per hour', 'Blocks that this collator built, and those that a validator fetched', 'short',
               [0, 31, 8, 7], [
                 ['rate(t0rn_agent_collations_built_total{%(in)s}[$__rate_interval]) * 3600', 'built'],
                 ['rate(t0rn_agent_collations_sent_total{%(in)s}[$__rate_interval]) * 3600', 'fetched by validators'],
               ]) + p.from(0),
  p.timeseries('Time since the last block built here', 'Grows while the collator builds nothing', 's', [8, 31, 8, 7],
               [['t0rn_agent_collation_age_seconds{%(in)s}', '{{instance}}']]) + p.from(0),
  p.bars('Restarts by cause', 'Runs of the container that followed another one, by what ended that', [16, 31, 8, 7],
         ['sum by (cause) (increase(t0rn_agent_restarts_total{%(in)s}[$__rate_interval])) > 0', '{{cause}}']),
  p.bars('Incidents by cause', 'Each has its evidence in t0rn-agent incidents', [0, 38, 8, 7],
         ['sum by (cause) (increase(t0rn_agent_incidents_total{%(in)s}[$__rate_interval])) > 0', '{{cause}}']),
  p.stat('Last incident', 'When the newest incident began, and its cause', 'dateTimeFromNow', [8, 38, 4, 7], blue,
         ['t0rn_agent_last_incident_timestamp_seconds{%(in)s} * 1000', '{{cause}}'], 'value_and_name'),
  p.stat('Did its restart help?', 'Nothing while it is not known yet', 'bool', [12, 38, 4, 7], oneIsGood,
         ['t0rn_agent_last_incident_helped{%(in)s}', '{{cause}}'], 'value_and_name') + p.yesOrNo,
  p.timeseries('From an end to running again', 'Downtime of the last restart', 's', [16, 38, 8, 7],
               [['t0rn_agent_container_restart_seconds{%(in)s}', '{{instance}}']]) + p.from(0),
]
