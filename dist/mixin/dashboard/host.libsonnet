// The host, and the agent itself.
local p = import 'panel.libsonnet';

[
  p.timeseries('Disk', "The chain data's file system", 'bytes', [0, 45, 8, 7], [
    ['t0rn_agent_disk_free_bytes{%(in)s}', 'free'],
    ['t0rn_agent_disk_total_bytes{%(in)s}', 'total'],
  ]) + p.from(0),
  p.stat('Disk full in', 'At the present pace; nothing when it does not fill up', 's', [8, 45, 4, 7],
         [['red', null], ['orange', 86400], ['green', 604800]],
         ['t0rn_agent_disk_full_in_seconds{%(in)s}', '{{instance}}']),
  p.timeseries('Memory available', 'What the kernel can give out without swapping', 'bytes', [12, 45, 6, 7],
               [['t0rn_agent_memory_available_bytes{%(in)s}', '{{instance}}']]) + p.from(0),
  p.timeseries('Clock', 'Offset of the clock: collating needs exact time', 's', [18, 45, 6, 7],
               [['t0rn_agent_clock_offset_seconds{%(in)s}', '{{instance}}']]),
  p.timeseries("Scrapes of the node's exporters", 'By their result', 'ops', [0, 52, 8, 7],
               [['sum by (chain, result) (rate(t0rn_agent_scrapes_total{%(in)s}[$__rate_interval])) > 0', '{{chain}}: {{result}}']]) +
  p.from(0),
  p.timeseries('Scrape duration', "Until the node's exporter has answered", 's', [8, 52, 8, 7],
               [['t0rn_agent_scrape_duration_seconds{%(in)s}', '{{chain}}']]) + p.from(0),
  p.timeseries('Load and network', 'Load average of one minute; network is 1 with a default route and a resolver', 'short',
               [16, 52, 8, 7], [
                 ['t0rn_agent_load1{%(in)s}', 'load'],
                 ['t0rn_agent_network_ok{%(in)s}', 'network'],
               ]) + p.from(0),
  p.timeseries('Memory of the agent', 'Resident memory of its process', 'bytes', [0, 59, 8, 6],
               [['t0rn_agent_resident_memory_bytes{%(in)s}', '{{instance}}']]) + p.from(0),
  p.timeseries('Supervision loop: time since its last round', 'Grows when the agent hangs', 's', [8, 59, 8, 6],
               [['t0rn_agent_loop_age_seconds{%(in)s}', '{{instance}}']]) + p.from(0),
  p.table('What runs where', "The agent's version, the collator's image", [16, 59, 8, 6],
          ['t0rn_agent_build_info{%(in)s}', 't0rn_agent_collator_info{%(in)s}']),
  p.timeseries('Updates of the image by result', 'By t0rn-agent update, or by update.auto', 'short', [0, 65, 12, 6],
               [['sum by (result) (increase(t0rn_agent_updates_total{%(in)s}[$__rate_interval])) > 0', '{{result}}']]) + p.from(0),
  p.timeseries('Everything waits for memory', 'Share of the last minute in which every task waited for memory', 'percentunit',
               [12, 65, 12, 6], [['t0rn_agent_memory_full_ratio{%(in)s}', '{{instance}}']]) + p.from(0) + p.to(1),
  p.timeseries('Phase of a sync that no height shows', '1 while it is under way, such as a warp sync', 'bool', [0, 71, 12, 6],
               [['t0rn_agent_chain_sync_phase{%(in)s}', '{{chain}} {{phase}}']]) + p.from(0) + p.to(1),
  p.timeseries('Share of that phase', 'How much of it is done', 'percent', [12, 71, 12, 6],
               [['t0rn_agent_chain_sync_phase_percent{%(in)s}', '{{chain}}']]) + p.from(0) + p.to(100),
  p.timeseries("The agent's process: processor", 'Share of one core', 'percentunit', [0, 77, 6, 6],
               [['rate(process_cpu_seconds_total{%(in)s}[$__rate_interval])', '{{instance}}']]) + p.from(0),
  p.timeseries("The agent's process: memory", 'Resident and virtual', 'bytes', [6, 77, 6, 6], [
    ['process_resident_memory_bytes{%(in)s}', '{{instance}}: resident'],
    ['process_virtual_memory_bytes{%(in)s}', '{{instance}}: virtual'],
  ]) + p.from(0),
  p.timeseries("The agent's process: open files", 'Descriptors, and the limit', 'short', [12, 77, 6, 6], [
    ['process_open_fds{%(in)s}', '{{instance}}: open'],
    ['process_max_fds{%(in)s}', '{{instance}}: limit'],
  ]) + p.from(0),
  p.timeseries("The agent's process: uptime", 'Since it was started', 's', [18, 77, 6, 6],
               [['time() - process_start_time_seconds{%(in)s}', '{{instance}}']]) + p.from(0),
]
