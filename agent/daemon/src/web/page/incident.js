
// ---- what is known of one mark

const AROUND_S = 900; // before and after a mark, whose heights are shown
const SHOWN_S = 3600; // before and after a mark, on the charts

async function openMark(mark) {
  view.open = mark && keyOf(mark);
  showMarks();
  drawAll();
  const id = mark && incidentOf(mark)?.id;
  if (!id) return;
  let incident;
  try {
    const answer = await fetch(`incidents/${encodeURIComponent(id)}`, { cache: "no-store" });
    incident = answer.ok ? await answer.json() : { error: await answer.text() };
  } catch {
    incident = { error: "the agent is not reachable" };
    setTimeout(() => { if (view.open === keyOf(mark)) openMark(mark); }, RETRY_MS);
  }
  // Whether it helped may have been found since.
  view.opened[id] = incident;
  showMarks();
}

function details(mark) {
  const box = make("div", { class: "details" });
  const id = incidentOf(mark)?.id, incident = mark.incident;
  if (mark.text) {
    box.append(spanFacts(mark));
  } else if (!id) {
    box.append(make("p", {}, "No evidence is kept of this: it answers no fault, or it is too old."));
  } else if (!incident) {
    box.append(make("p", {}, "The agent is asked for the evidence."));
  } else if (incident.error) {
    box.append(make("p", {}, `The evidence cannot be shown: ${incident.error}`));
  } else {
    const helped = { true: "yes", false: "no", null: "not known yet" }[incident.helped];
    const facts = make("dl", { class: "facts" });
    facts.append(...[["incident", id], ["cause", words(incident.cause)], ["action", words(incident.action)], ["helped", helped]].map(pair));
    const evidence = make("ul");
    evidence.append(...incident.evidence.map((fact) => make("li", {}, fact)));
    box.append(facts, make("h3", {}, "Evidence"), evidence);
  }
  box.append(make("h3", {}, "Heights around it"), around(mark), button("Show on the charts", () => {
    zoom(mark.at / 1000 - SHOWN_S, mark.at / 1000 + SHOWN_S);
    view.cursor = mark.at / 1000;
    drawAll();
  }));
  if (incident && incident.log && incident.log.length > 0) {
    const log = make("pre", { tabindex: "0", "aria-label": "last lines of the container" }, incident.log.join("\n"));
    box.append(make("h3", {}, "Last lines of the container"), log);
  }
  if (mark.text) box.append(make("h3", {}, "On the host"), ...SPAN_COMMANDS[mark.what](mark).map(command));
  if (id) box.append(make("h3", {}, "All of it, on the host"), command(`t0rn-agent incidents show ${id}`), command(`t0rn-agent report ${id}`));
  return box;
}

// Commands that show a span, or end it.
const SPAN_COMMANDS = {
  update: () => ["t0rn-agent status"],
  notice: () => ["t0rn-agent status"],
  pause: (span) => (isOver(span) ? ["t0rn-agent status"] : ["t0rn-agent resume"]),
};

// What is known of an update, an announcement or a pause.
function spanFacts(span) {
  const facts = make("dl", { class: "facts" });
  const about = { update: "image", notice: "announcement", pause: "reason" }[span.what];
  const end = span.to === null ? "goes on" : `${isOver(span) ? "" : "expected at "}${minute(span.to)}`;
  const rows = [["from", minute(span.from)], ["to", end], [about, span.what === "notice" ? words(span.about) : span.about || "?"]];
  if (span.what === "update") rows.push(["kept", { true: "yes", false: "no", null: isOver(span) ? "replaced by another" : "not known yet" }[span.succeeded]]);
  facts.append(...rows.map(pair));
  return facts;
}

// Best block of each chain before, at and after a mark.
function around(mark) {
  const h = view.history, table = make("table");
  const times = [-AROUND_S, 0, AROUND_S].map((offset) => mark.at / 1000 + Math.sign(offset) * Math.max(AROUND_S, h.slot_seconds));
  const head = make("tr");
  head.append(make("th", { scope: "col" }, "chain"), ...times.map((time) => make("th", { scope: "col" }, clock(time * 1000).slice(0, 5))));
  table.append(head);
  for (const [name, { best }] of Object.entries(h.chains)) {
    const row = make("tr");
    const cells = times.map((time) => make("td", {}, known(best[Math.floor((time - h.from) / h.slot_seconds)], count)));
    row.append(make("th", { scope: "row" }, name), ...cells);
    table.append(row);
  }
  return table;
}
