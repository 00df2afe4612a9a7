//! A whole bake, with a node in a real engine, in data that the attacker owns and works in.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::agent::{Agent, binary};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::wait::{LATER, exit, until};

use crate::attacker::Attacker;
use crate::canary::{Canary, SECRET};
use crate::host::{at, own, remove, set_root};

/// A sync of seconds.
const QUICK: [&str; 8] = [
    "--sim-target",
    "3000",
    "--sim-speed",
    "1000",
    "--sim-relay-target",
    "3000",
    "--sim-relay-speed",
    "1000",
];
const BAKE: Duration = Duration::from_mins(2);
const KEYSTORE: &str = "data/chains/t0rn_testnet/keystore";
const NETWORK: &str = "data/chains/t0rn_testnet/network";
const DATABASE: &str = "data/chains/t0rn_testnet/db/full";

#[test]
fn attacked_bake_removes_and_certifies_nothing_outside() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        t0rn_agent_tests::skip!("only root can be led by the owner of the data");
    }
    let engine = Engine::shared()?;
    let agent = Agent::new(&engine, "hostile-bake", &QUICK)?;
    let root = agent.config_file().parent().context("no directory")?.to_owned();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o711))?;
    set_root(&root)?;
    let files = [
        "data/chains/t0rn_testnet/keystore/61757261aa",
        "data/chains/t0rn_testnet/network/secret_ed25519",
        "data/chains/t0rn_testnet/db/full/CURRENT",
        "data/bake.json",
        "data/bake.json.tmp",
        "etc/passwd",
    ];
    let files = BTreeMap::from(files.map(|file| (file, SECRET.to_owned())));
    let canary = Canary::plant(&at("canary"), &files)?;
    for places in [
        &["data/bake.json", "data/bake.json.tmp"][..],
        &[KEYSTORE],
        &[NETWORK],
        &[DATABASE],
    ] {
        attack(&agent, places).with_context(|| format!("{places:?}"))?;
        canary.assert_untouched().with_context(|| format!("{places:?}"))?;
        let _ = engine.try_docker(["rm", "-fv", &format!("{}-bake", agent.container())]);
    }
    canary.assert_content(&files)
}

/// One bake, attacked from when its node runs.
fn attack(agent: &Agent, places: &[&'static str]) -> Result<()> {
    let attacker = Attacker::begin(places)?;
    for dir in [agent.data(), &at("home"), &agent.state_dir()] {
        remove(dir)?;
    }
    fs::create_dir(at("home"))?;
    own(&at("home"))?;
    attacker.prepare_home()?;
    let mut command = Command::new(binary()?);
    command
        .args(["bake", "--credible", "3s", "--config"])
        .arg(agent.config_file())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(at("bake.log"))?);
    let mut child = command.spawn()?;
    let begun = until("a node", LATER, || Ok(fs::metadata(at(DATABASE))?));
    attacker.go_on()?;
    let ended = begun.and_then(|_| exit(&mut child, BAKE));
    if ended.is_err() {
        child.kill()?;
        child.wait()?;
    }
    attacker.pause()?;
    let said = fs::read_to_string(at("bake.log"))?;
    // One whose node ends again and again, since its database is gone, waits for longer than this test.
    if let Ok(ended) = ended {
        let code = ended.code();
        ensure!(matches!(code, Some(0 | 1)), "{code:?}: {said}");
    }
    ensure!(!said.contains(SECRET), "{said}");
    Ok(())
}
