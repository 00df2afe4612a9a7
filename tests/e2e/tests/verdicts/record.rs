//! What is kept: incidents that can be shown to anybody, and a recording that replays to the same decisions.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::agent::Agent;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim::control::{Command, Cure, Silence};

use super::{LATER, SOON, SYNCING, recorded_actions, replays, stall, took_actions};

/// Everything that must not be told: an argument, two variables, a webhook, a password, what the node logged.
const SECRETS: [&str; 6] = [
    "5ec7e70000000000000000000000000000000000000000000000000000000001",
    "hunter2hunter2",
    "AKIAVERYSECRETKEY",
    "T0SECRET/B0SECRET/XXXXSECRET",
    "correct-horse-battery",
    "bottom drive obey lake curtain smoke",
];

#[test]
fn an_incident_tells_what_happened_and_no_secret() -> Result<()> {
    let engine = Engine::shared()?;
    let mut flags = SYNCING.to_vec();
    flags.extend(["--node-key", SECRETS[0]]);
    let mut agent = Agent::new(&engine, "secrets", &flags)?;
    agent.set("collator.env.DB_PASSWORD", SECRETS[1])?;
    agent.set("collator.env.AWS_SECRET_ACCESS_KEY", SECRETS[2])?;
    agent.set(
        "notify.webhook",
        format!("https://hooks.example.org/services/{}", SECRETS[3]),
    )?;
    let auth = agent.config_file().with_file_name("registry.json");
    fs::write(
        &auth,
        format!(r#"{{"username": "collator", "password": "{}"}}"#, SECRETS[4]),
    )?;
    fs::set_permissions(&auth, fs::Permissions::from_mode(0o600))?;
    agent.set("collator.registry_auth", auth.display().to_string())?;
    agent.start()?;
    agent.wait_watched()?;
    agent.sim().control(&Command::Log {
        lines: vec![
            "an ordinary line".to_owned(),
            format!("Secret phrase: {} basket hold race lonely fit walk", SECRETS[5]),
            format!(
                "401 for collator:{}@registry, {} and {} did not help",
                SECRETS[4], SECRETS[1], SECRETS[0]
            ),
        ],
        bytes: 0,
    })?;
    let run = agent.run_id()?;
    agent.sim().control(&Command::Freeze { mode: Silence::Hang })?;
    agent.wait_other_run(&run, SOON)?;
    let status = agent.wait_cured("frozen", SOON)?;
    let id = status["last_incident"]["id"].as_str().context("no incident")?;

    let list = agent.ok(["incidents", "list"])?;
    ensure!(
        list.lines().count() == 1 && list.contains(id) && list.contains("helped"),
        "{list}"
    );
    let json: Value = serde_json::from_str(&agent.ok(["incidents", "list", "--json"])?)?;
    ensure!(
        json[0]["id"] == id && json[0]["helped"] == true && json[0]["action"] == "restart",
        "{json}"
    );
    let one: Value = serde_json::from_str(&agent.ok(["incidents", "show", id, "--json"])?)?;
    ensure!(one["id"] == id && one["cause"] == "frozen", "{one}");
    let shown = agent.ok(["incidents", "show", id])?;
    for part in [
        "cause    frozen",
        "helped   yes",
        "an ordinary line",
        "parachain: best",
        "disk_free_bytes",
    ] {
        ensure!(shown.contains(part), "no {part:?} in {shown}");
    }
    ensure!(shown.chars().count() < 24_000);

    let folder = agent.config_file().with_file_name("state").join("incidents").join(id);
    for file in [
        "incident.json",
        "container.log",
        "flight.jsonl",
        "inspect.json",
        "parachain.prom",
        "relaychain.prom",
        "host.json",
        "status.json",
    ] {
        ensure!(folder.join(file).metadata().is_ok_and(|m| m.len() > 0), "no {file}");
    }
    let mut told = vec![shown, list, status.to_string(), agent.ok(["status"])?, agent.log()];
    texts(&folder, &mut told)?;
    for secret in SECRETS {
        let leak = told.iter().find(|text| text.contains(secret));
        ensure!(leak.is_none(), "{secret:?} was told: {}", leak.map_or("", |t| t));
    }
    ensure!(
        !agent
            .cli(["incidents", "show", "20261122T225000Z-nothing"])?
            .status
            .success()
    );
    took_actions(&agent, &["start missing", "restart frozen"])?;
    replays(&agent)
}

#[test]
fn a_recording_of_many_faults_replays_to_the_same_decisions() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "many", &SYNCING)?;
    let faults: [(&str, &dyn Fn() -> Result<()>); 5] = [
        ("frozen", &|| {
            agent.sim().control(&Command::Freeze { mode: Silence::Refuse })
        }),
        ("killed", &|| engine.docker(["kill", agent.container()]).map(drop)),
        ("stalled", &|| agent.sim().control(&stall(Cure::Restart))),
        ("removed", &|| engine.docker(["rm", "-f", agent.container()]).map(drop)),
        ("isolated", &|| {
            agent.sim().control(&Command::Isolate { cure: Cure::Restart })
        }),
    ];
    for (cause, fault) in faults {
        let run = agent.run_id()?;
        fault()?;
        agent.wait_other_run(&run, LATER).context(cause)?;
        agent.wait_watched().context(cause)?;
        agent
            .wait_for("good health", SOON, |s| s["health"] == "ok")
            .context(cause)?;
    }
    let expected = [
        "start missing",
        "restart frozen",
        "start killed",
        "restart stalled",
        "start removed",
        "restart isolated",
    ];
    took_actions(&agent, &expected)?;
    replays(&agent)?;
    // For people: the same, with the reasons in words.
    let flight = super::flight(&agent).display().to_string();
    let config = agent.config_file().display().to_string();
    let timeline = agent.ok(["replay", &flight, "--config", &config])?;
    for recorded in recorded_actions(&agent)? {
        let (action, cause) = recorded.what.split_once(' ').context("two words")?;
        ensure!(
            timeline.contains(&format!("-> {action} ({cause}): ")),
            "no {} in {timeline}",
            recorded.what
        );
    }
    let list = agent.ok(["incidents"])?;
    ensure!(list.lines().count() == 5, "{list}");
    Ok(())
}

/// Every file's text in a folder.
fn texts(folder: &Path, into: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        into.push(String::from_utf8_lossy(&fs::read(entry?.path())?).into_owned());
    }
    Ok(())
}
