//! The status page in a real browser, of an agent with a collator that fails.

use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::Value;
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::browser::Browser;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim::control::{Command, Silence};
use t0rn_agent_tests::skip;
use t0rn_agent_tests::wait::SOON;

/// Notes every phase that the page shows, and whether it shows trouble with an exporter then.
const WATCH: &str = r##"
window.seen = [];
new MutationObserver(() => {
    const trouble = [...document.querySelectorAll(".exporter")].some((note) => !note.hidden);
    const now = `${document.querySelector("#phase").textContent}${trouble ? " without an answer" : ""}`;
    if (window.seen.at(-1) !== now) window.seen.push(now);
}).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
"##;

/// Most that the page may transfer, bytes.
const TRANSFER_MAX: u64 = 100_000;

const LIVE: &str = "document.body.dataset.link === 'live'";
const SYNCS: &str = "document.querySelector('#phase').textContent === 'syncing'";
const CURED: &str = "document.querySelector('#marks').textContent.includes('restarted: frozen, and it helped')";

/// A page that is open and shows a collator that syncs.
fn open(agent: &Agent, program: std::path::PathBuf) -> Result<Browser> {
    let mut page = Browser::open(program, &format!("http://127.0.0.1:{}/", agent.metrics_port()))?;
    page.wait_for(&format!("{LIVE} && {SYNCS}"), SOON)?;
    Ok(page)
}

#[test]
fn it_shows_how_it_is_on_a_telephone_without_a_complaint_of_the_browser() -> Result<()> {
    let Some(program) = Browser::program() else {
        skip!("no chromium: tests/tools/setup chromium gets it");
    };
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "page", &SYNCING)?;
    let mut page = open(&agent, program)?;
    page.resize(360)?;
    page.wait_for("innerWidth === 360", SOON)?;
    // Both chains are drawn, and what is shown follows the collator.
    page.wait_for("document.querySelectorAll('.chart .best[d^=M]').length === 2", SOON)?;
    let best = "Number(document.querySelector('.numbers dd').textContent.replaceAll(',', ''))";
    let before = page.evaluate(best)?.as_u64().unwrap_or_default();
    ensure!(before > 0);
    page.wait_for(&format!("{best} > {before}"), SOON)?;
    let status = agent.status()?;
    let shown = page.evaluate("document.body.innerText")?;
    let shown = shown.as_str().unwrap_or_default();
    ensure!(
        shown.to_lowercase().contains("ok") && shown.contains("% synced"),
        "{shown}"
    );
    for field in [
        &status["collator"]["container"],
        &status["collator"]["id"],
        &status["chains"]["parachain"]["id"],
    ] {
        ensure!(
            field.as_str().is_some_and(|text| shown.contains(text)),
            "{field}: {shown}"
        );
    }
    let wide = page.evaluate("document.documentElement.scrollWidth")?;
    ensure!(wide == 360, "it has to be scrolled sideways: {wide}");
    let complaints = page.complaints()?;
    ensure!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}

#[test]
fn fault_is_shown_before_its_restart_and_then_that_it_helped() -> Result<()> {
    let Some(program) = Browser::program() else {
        skip!("no chromium: tests/tools/setup chromium gets it");
    };
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "fault", &SYNCING)?;
    let mut page = open(&agent, program)?;
    page.evaluate(WATCH)?;
    agent.sim().control(&Command::Freeze { mode: Silence::Refuse })?;
    page.wait_for(&format!("{CURED} && {SYNCS}"), SOON)?;
    let seen = page.evaluate("window.seen")?;
    let at = |phase: &str| seen.as_array().into_iter().flatten().position(|p| p == phase);
    let (trouble, restart) = (
        at("syncing without an answer"),
        at("restarting").or(at("restarting without an answer")),
    );
    ensure!(trouble.is_some() && trouble < restart, "{seen}");
    page.wait_for("document.querySelectorAll('.chart .mark').length >= 2", SOON)?;
    let complaints = page.complaints()?;
    ensure!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}

#[test]
fn lost_agent_is_shown_and_the_same_history_goes_on_when_it_is_back() -> Result<()> {
    let Some(program) = Browser::program() else {
        skip!("no chromium: tests/tools/setup chromium gets it");
    };
    let engine = Engine::shared()?;
    let mut agent = Agent::running(&engine, "gone", &SYNCING)?;
    let mut page = open(&agent, program)?;
    agent.sim().control(&Command::Freeze { mode: Silence::Refuse })?;
    page.wait_for(&format!("{CURED} && {SYNCS}"), SOON)?;
    page.evaluate("window.same = 'page'")?;
    let complaints = page.complaints()?;
    ensure!(complaints.is_empty(), "{complaints:?}");

    // An open page does not keep the agent.
    ensure!(agent.end(Signal::TERM)? == 0);
    page.wait_for("document.body.dataset.link === 'lost'", SOON)?;
    page.wait_for(
        "document.querySelector('#lost').innerText.includes('not reachable since')",
        SOON,
    )?;
    page.wait_for(
        "/, [1-9][0-9]*s old/.test(document.querySelector('#link').innerText)",
        SOON,
    )?;
    page.wait_for("document.querySelector('#health').textContent === 'was ok'", SOON)?;

    agent.start()?;
    page.wait_for(&format!("{LIVE} && {SYNCS}"), SOON)?;
    // This agent was told of the restart by nobody but the flight recorder.
    page.evaluate("view.histories = {}; fetched = {}")?;
    page.wait_for(
        &format!("view.history && {CURED} && document.querySelector('#lost').hidden"),
        SOON,
    )?;
    page.wait_for("document.querySelectorAll('.chart .best[d^=M]').length === 2", SOON)?;
    ensure!(page.evaluate("window.same")? == "page", "it was loaded anew");
    for complaint in page.complaints()? {
        ensure!(complaint.starts_with("\"network\""), "{complaint}");
    }
    Ok(())
}

/// Clicks on the mark of the restart in the list.
const OPEN: &str = "[...document.querySelectorAll('.opener')].find(opener => opener.textContent.includes('restarted: frozen')).click()";
/// The time shown on the charts, seconds.
const SHOWN: &str = "(([a, b]) => b - a)(Object.values(view.zoom ?? extent(view.history)))";

#[test]
fn mark_opens_its_incident_and_keys_and_fingers_zoom() -> Result<()> {
    let Some(program) = Browser::program() else {
        skip!("no chromium: tests/tools/setup chromium gets it");
    };
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "mark", &SYNCING)?;
    let mut page = open(&agent, program)?;
    agent.sim().control(&Command::Freeze { mode: Silence::Refuse })?;
    page.wait_for(&format!("{CURED} && {SYNCS}"), SOON)?;

    page.evaluate(OPEN)?;
    page.wait_for("document.querySelector('.details pre')", SOON)?;
    let status = agent.status()?;
    let id = status["last_incident"]["id"].as_str().unwrap_or_default();
    let incident: Value = serde_json::from_str(&agent.ok(["incidents", "show", id, "--json"])?)?;
    let details = page.evaluate("document.querySelector('.details').innerText")?;
    let details = details.as_str().unwrap_or_default();
    for text in [&incident["evidence"][0], &incident["evidence"][1]] {
        ensure!(
            text.as_str().is_some_and(|text| details.contains(text)),
            "{text}: {details}"
        );
    }
    for text in [
        id,
        "Heights around it",
        "parachain",
        "helped",
        &format!("t0rn-agent report {id}"),
    ] {
        ensure!(details.contains(text), "{text}: {details}");
    }

    // The commands that this agent's own words name can be copied, and are commands.
    page.evaluate("navigator.clipboard.writeText = async text => { window.copied = text }")?;
    page.evaluate("document.querySelector('.details .command button').click()")?;
    page.wait_for(&format!("window.copied === 't0rn-agent incidents show {id}'"), SOON)?;

    let whole = page.evaluate(SHOWN)?.as_f64().unwrap_or_default();
    page.evaluate("document.querySelector('.plot').focus()")?;
    page.press("ArrowLeft")?;
    page.wait_for("document.querySelector('.reading').textContent.includes('best')", SOON)?;
    page.press("+")?;
    page.wait_for(&format!("{SHOWN} < {whole} * 0.7"), SOON)?;
    page.press("0")?;
    page.wait_for(&format!("{SHOWN} === {whole}"), SOON)?;
    let place = page.evaluate(
        "(box => [box.x + box.width / 2, box.y + 60])(document.querySelector('.plot').getBoundingClientRect())",
    )?;
    let [x, y] = [0, 1].map(|n| place[n].as_f64().unwrap_or_default());
    page.pinch([(x - 20.0, y), (x + 20.0, y)], [(x - 20.0, y), (x + 60.0, y)])?;
    page.wait_for(&format!("{SHOWN} < {whole} * 0.7"), SOON)?;
    let complaints = page.complaints()?;
    ensure!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}

#[test]
fn pause_opens_from_its_band_and_unknown_clock_says_why() -> Result<()> {
    let Some(program) = Browser::program() else {
        skip!("no chromium: tests/tools/setup chromium gets it");
    };
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "band", &SYNCING)?;
    let mut page = open(&agent, program)?;
    agent.ok(["pause", "--for", "1h", "--reason", "moving the database"])?;
    page.wait_for("document.querySelector('.band.pause')", SOON)?;
    page.evaluate(
        "(band => document.querySelector('.plot').dispatchEvent(new PointerEvent('pointerup', { clientX: band.x, clientY: band.y + 3 })))
         (document.querySelector('.band.pause').getBoundingClientRect())",
    )?;
    page.wait_for("document.querySelector('.details')", SOON)?;
    let details = page.evaluate("document.querySelector('.details').innerText")?;
    for text in ["moving the database", "expected at", "t0rn-agent resume"] {
        ensure!(
            details.as_str().is_some_and(|details| details.contains(text)),
            "{text}: {details}"
        );
    }
    // At once, before the next status.
    let facts = page.evaluate(
        "(status => { status.host.clock_offset_ms = null; status.host.clock_unknown = 'chronyd does not answer';
         showFacts(status); return by('facts').textContent; })(structuredClone(view.status))",
    )?;
    ensure!(
        facts
            .as_str()
            .is_some_and(|facts| facts.contains("unknown: chronyd does not answer")),
        "{facts}"
    );
    let complaints = page.complaints()?;
    ensure!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}

/// Loads the page anew, until its charts are there.
fn reload(page: &mut Browser) -> Result<()> {
    page.evaluate("window.stale = true")?;
    page.reload()?;
    let painted = "performance.getEntriesByName('first-contentful-paint').length === 1";
    page.wait_for(
        &format!("!window.stale && {painted} && view.history && view.incidents.length > 0"),
        SOON,
    )
}

#[test]
fn page_is_accessible_and_small_and_loads_nothing_from_elsewhere() -> Result<()> {
    let (Some(program), Some(axe)) = (Browser::program(), Browser::axe()) else {
        skip!("no chromium or no axe: tests/tools/setup chromium axe gets them");
    };
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "axe", &SYNCING)?;
    let mut page = open(&agent, program)?;
    agent.sim().control(&Command::Freeze { mode: Silence::Refuse })?;
    page.wait_for(&format!("{CURED} && {SYNCS}"), SOON)?;
    reload(&mut page)?;
    page.evaluate("document.querySelector('[data-range=week]').click()")?;
    page.wait_for(
        "view.histories.week && document.querySelectorAll('.chart .best[d^=M]').length === 2",
        SOON,
    )?;
    // Transferred by now: the document, both ranges and the incidents; what is pushed afterwards is a status a time.
    let loaded = page.evaluate(
        "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
         .map(entry => [new URL(entry.name).origin === location.origin, entry.transferSize])",
    )?;
    let loaded = loaded.as_array().map(Vec::as_slice).unwrap_or_default();
    ensure!(
        loaded.len() >= 4 && loaded.iter().all(|entry| entry[0] == true),
        "{loaded:?}"
    );
    let transferred: u64 = loaded.iter().filter_map(|entry| entry[1].as_u64()).sum();
    ensure!((10_000..TRANSFER_MAX).contains(&transferred), "{loaded:?}");
    page.evaluate(OPEN)?;
    page.wait_for("document.querySelector('.details pre')", SOON)?;
    for (width, dark) in [(1280, false), (1280, true), (360, false), (360, true)] {
        page.resize(width)?;
        page.set_dark(dark)?;
        page.wait_for(
            &format!("innerWidth === {width} && matchMedia('(prefers-color-scheme: dark)').matches === {dark}"),
            SOON,
        )?;
        let violations = page.violations(&axe)?;
        ensure!(violations.is_empty(), "{width} dark {dark}: {violations:?}");
    }
    let complaints = page.complaints()?;
    ensure!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}
