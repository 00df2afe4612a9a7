//! The status page in a real browser, of an agent with a collator that fails.

use anyhow::{Result, ensure};
use rustix::process::Signal;
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
    page.evaluate("view.history = null; fetched.for = null")?;
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
