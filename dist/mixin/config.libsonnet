// What an installation may set: `(import 'mixin.libsonnet') + { _config+:: { job: 'collators' } }`.
{
  _config+:: {
    // The job of the agents in Prometheus.
    job: 't0rn-agent',
    selector: 'job="%s"' % self.job,
    // Where the documentation of an alert is; %s is its name in lower case.
    runbookURL: 'https://github.com/t3rn/t0rn-agent/blob/main/docs/alerts.md#%s',
    dashboardTags: ['t0rn', 'substrate'],
  },
}
