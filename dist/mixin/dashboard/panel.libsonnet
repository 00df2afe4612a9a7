// Kinds of panels. A place is [x, y, width, height]; a query is [expression, legend], and %(in)s in it the chosen agents.
local datasource = { type: 'prometheus', uid: '${datasource}' };

local panel(type, title, description, unit, place) = {
  type: type,
  title: title,
  description: description,
  datasource: datasource,
  gridPos: { x: place[0], y: place[1], w: place[2], h: place[3] },
  fieldConfig: { defaults: { unit: unit }, overrides: [] },
};

local targets(queries, more={}) = [
  {
    refId: std.char(std.codepoint('A') + i),
    datasource: datasource,
    expr: queries[i][0] % { 'in': 'job=~"$job", instance=~"$instance"' },
    legendFormat: queries[i][1],
  } + more
  for i in std.range(0, std.length(queries) - 1)
];

local now = { instant: true, range: false };

{
  datasource: datasource,

  // The last value, in a colour by thresholds: [[colour, from], …], the first from anything.
  stat(title, description, unit, place, thresholds, query, text='value'):
    panel('stat', title, description, unit, place) {
      fieldConfig+: {
        defaults+: {
          color: { mode: 'thresholds' },
          thresholds: {
            mode: 'absolute',
            steps: [{ color: step[0], value: step[1] } for step in thresholds],
          },
        },
      },
      options: {
        colorMode: 'background',
        graphMode: 'none',
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
        textMode: text,
      },
      targets: targets([query], now),
    },

  timeseries(title, description, unit, place, queries):
    panel('timeseries', title, description, unit, place) {
      options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi' } },
      targets: targets(queries),
    },

  // Bars that lie on each other, for events.
  bars(title, description, place, query):
    self.timeseries(title, description, 'short', place, [query]) + self.from(0) + {
      fieldConfig+: { defaults+: { custom: { fillOpacity: 80, lineWidth: 0, stacking: { mode: 'normal' } } } },
    },

  timeline(title, description, place, query):
    panel('state-timeline', title, description, 'bool', place) {
      options: { legend: { displayMode: 'hidden' }, mergeValues: true, showValue: 'never' },
      targets: targets([query]),
    },

  // The labels of each series as a row.
  table(title, description, place, expressions):
    panel('table', title, description, 'short', place) {
      options: { showHeader: true },
      transformations: [{ id: 'labelsToFields', options: {} }, { id: 'merge', options: {} }],
      targets: targets([[expression, ''] for expression in expressions], now),
    },

  from(min): { fieldConfig+: { defaults+: { min: min } } },
  to(max): { fieldConfig+: { defaults+: { max: max } } },

  // 1 and 0 as words.
  yesOrNo: {
    fieldConfig+: {
      defaults+: {
        mappings: [{
          type: 'value',
          options: { '1': { index: 0, text: 'yes' }, '0': { index: 1, text: 'no' } },
        }],
      },
    },
  },
}
