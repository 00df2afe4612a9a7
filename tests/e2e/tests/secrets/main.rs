//! Secrets planted wherever a collator and its agent have texts: none is in anything that the agent, its commands or a
//! bake put out.

mod outputs;
mod plants;

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::credentials::CredentialRecorder;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::recording::{Reply, start};
use t0rn_agent_tests::sim::control::Command as SimCommand;
use t0rn_agent_tests::sim_image;
use t0rn_agent_tests::wait::{self, LATER, SOON};
use t0rn_agent_tests::webhook::{Answer, WebhookReceiver};

use self::outputs::Outputs;

/// An agent whose configuration has secrets in every place that has room for one.
fn planted<'a>(engine: &'a Engine, name: &str, sim: &[&str], hook: &WebhookReceiver) -> Result<Agent<'a>> {
    let mut agent = Agent::new(engine, name, sim)?;
    agent.set("collator.image", image(engine)?)?;
    let mut command = vec!["--collator", "--base-path", "/node/data", "--prometheus-external"];
    command.extend_from_slice(sim);
    command.extend(plants::ARGUMENTS.iter().flat_map(|(words, _)| words.split(' ')));
    agent.set(
        "collator.command",
        command.into_iter().map(str::to_owned).collect::<Vec<_>>(),
    )?;
    for (name, value) in plants::VARIABLES {
        agent.set(&format!("collator.env.{name}"), value)?;
    }
    let logins = agent.state_dir().with_file_name("registries.json");
    plants::logins(&logins, "127.0.0.1:1")?;
    agent.set("collator.registry_auth", logins.display().to_string())?;
    agent.set("update.repositories", ["127.0.0.1:1/t0rn/sim".to_owned()].to_vec())?;
    let [path, query] = plants::WEBHOOK;
    agent.set(
        "notify.webhook",
        format!("http://127.0.0.1:{}/services/{path}?key={query}", hook.port()),
    )?;
    Ok(agent)
}

/// Further secrets: on the page of an exporter, and in the address of a node that refuses and repeats what it was asked.
fn plant_servers(agent: &mut Agent) -> Result<()> {
    let recorder = CredentialRecorder::default();
    let page = start(
        &recorder,
        "exporter",
        Ipv4Addr::LOCALHOST,
        false,
        Reply::Text(200, plants::page().0),
    )?;
    agent.set("chains.relaychain.metrics", format!("http://{page}/metrics"))?;
    let [word, path] = plants::REFERENCE;
    let echo = Reply::Text(403, format!("no {path} for {word}"));
    let node = start(&recorder, "reference", Ipv4Addr::LOCALHOST, false, echo)?;
    agent.set(
        "chains.parachain.reference",
        format!("http://{node}/v3/{path}?apikey={word}"),
    )?;
    Ok(())
}

/// The simulated collator with a secret in its image.
fn image(engine: &Engine) -> Result<String> {
    let (name, value) = plants::OF_IMAGE;
    let container = engine.docker(["create", &sim_image::sim(engine)?])?;
    let (change, tag) = (format!("ENV {name}={value}"), "t0rn-sim-secrets:v1");
    let committed = engine.docker(["commit", "--change", &change, container.trim(), tag]);
    engine.docker(["rm", "-v", container.trim()])?;
    committed?;
    Ok(tag.to_owned())
}

/// Lets the node write everything into its log.
fn tell(agent: &Agent) -> Result<()> {
    for part in plants::log().0.chunks(40) {
        agent.sim().control(&SimCommand::Log {
            lines: part.to_vec(),
            bytes: 0,
        })?;
    }
    Ok(())
}

#[test]
fn secret_of_any_form_is_in_no_output_of_a_running_agent() -> Result<()> {
    let engine = Engine::shared()?;
    // It refuses each message, and repeats the path; a second one takes them.
    let (refusing, hook) = (
        WebhookReceiver::start(Answer::Refuse(400))?,
        WebhookReceiver::start(Answer::Take)?,
    );
    let mut agent = planted(&engine, "secrets", &SYNCING, &refusing)?;
    plant_servers(&mut agent)?;
    agent.set_env("T0RN_AGENT_LOG", "debug");
    agent.set_env("RUST_LOG", "debug");
    let mut outputs = Outputs::default();
    agent.start()?;
    agent.wait_watched()?;
    plants::files(agent.data())?;
    tell(&agent)?;
    outputs.command("notify test, refused", &agent.cli(["notify", "test"])?);
    // The relay chain of the planted page stands.
    agent.wait_for("an incident", LATER, |status| {
        status["last_incident"]["cause"] == "stalled"
    })?;
    agent.kill()?;
    let [path, query] = plants::WEBHOOK;
    agent.set(
        "notify.webhook",
        format!("http://127.0.0.1:{}/services/{path}?key={query}", hook.port()),
    )?;
    agent.start()?;
    // Each end has other last lines.
    for part in plants::log().0.chunks(20) {
        let run = agent.run_id()?;
        agent.sim().control(&SimCommand::Crash {
            code: 1,
            log: part.to_vec(),
        })?;
        agent.wait_other_run(&run, LATER)?;
    }
    tell(&agent)?;
    let failed = agent.cli(["update", "--image", "127.0.0.1:1/t0rn/sim:v2", "--wait"])?;
    ensure!(!failed.status.success(), "{failed:?}");
    outputs.command("a pull that fails", &failed);
    wait::until("messages", SOON, || hook.messages().first().cloned().context("none"))?;

    outputs.commands(&agent)?;
    outputs.servers(&agent)?;
    outputs.files(&agent.state_dir())?;
    outputs.add("the agent's log", agent.log());
    outputs.add("messages", format!("{:?}", hook.messages()));
    let inspect = agent.inspect()?.context("no container")?;
    outputs.add("the container's labels", inspect["Config"]["Labels"].to_string());
    outputs.add(
        "images, networks and volumes of the agent",
        engine.docker(["volume", "ls"])?,
    );
    ensure!(outputs.len() > 40, "only {} outputs", outputs.len());
    outputs.judge(&[
        "stalled",
        "--node-key",
        "GITHUB_TOKEN=",
        "wss://rpc.example/",
        "substrate_block_height",
    ])
}

#[test]
fn secret_in_the_data_directory_is_in_no_snapshot() -> Result<()> {
    let engine = Engine::shared()?;
    let hook = WebhookReceiver::start(Answer::Take)?;
    let mut agent = planted(&engine, "archive", &SYNCING, &hook)?;
    agent.start()?;
    agent.wait_watched()?;
    plants::files(agent.data())?;
    let mut outputs = Outputs::default();
    for (name, flags) in [("at rest", &[][..]), ("live", &["--live"][..])] {
        let file = agent
            .state_dir()
            .with_file_name(format!("{}.tar.zst", name.replace(' ', "-")));
        let place = file.display().to_string();
        let args = [&["snapshot", "create", "--to", &place][..], flags].concat();
        let said = agent.cli(args)?;
        outputs.command(&format!("snapshot create, {name}"), &said);
        ensure!(said.status.success(), "{said:?}");
        let unpacked = agent
            .state_dir()
            .with_file_name(format!("unpacked-{}", name.replace(' ', "-")));
        fs::create_dir(&unpacked)?;
        let mut tar = Command::new("tar");
        tar.arg("--zstd").arg("-xf").arg(&file).arg("-C").arg(&unpacked);
        let output = wait::run(60, &mut tar)?;
        ensure!(output.status.success(), "{output:?}");
        outputs.files(&unpacked)?;
        outputs.command(
            "its names",
            &wait::run(60, Command::new("tar").arg("--zstd").arg("-tf").arg(&file))?,
        );
        agent.wait_watched()?;
    }
    outputs.judge(&["db/full/"])
}

#[test]
fn secret_of_configuration_or_data_is_in_no_bake() -> Result<()> {
    let engine = Engine::shared()?;
    let hook = WebhookReceiver::start(Answer::Take)?;
    let quick = [
        "--sim-target",
        "3000",
        "--sim-speed",
        "1000",
        "--sim-relay-target",
        "3000",
        "--sim-relay-speed",
        "1000",
    ];
    let quick = [
        &quick[..],
        &["--sim-block-time", "500", "--sim-relay-block-time", "500"],
    ]
    .concat();
    let agent = planted(&engine, "baked", &quick, &hook)?;
    let data = agent.data().to_owned();
    let (log, _) = plants::log();
    let mut command = Command::new(t0rn_agent_tests::agent::binary()?);
    let said = agent.state_dir().with_file_name("bake.log");
    let file = fs::File::create(&said)?;
    command
        .args(["bake", "--credible", "6s", "--config"])
        .arg(agent.config_file());
    command
        .env("T0RN_AGENT_LOG", "debug")
        .stdout(file.try_clone()?)
        .stderr(file);
    let mut child = command.spawn()?;
    wait::until("the node's files", SOON, || {
        ensure!(data.join("chains/t0rn_testnet/keystore").is_dir() && data.join("polkadot/chains").is_dir());
        Ok(())
    })?;
    plants::files(&data)?;
    agent.sim().control(&SimCommand::Log { lines: log, bytes: 0 })?;
    let status = wait::exit(&mut child, LATER)?;
    let mut outputs = Outputs::default();
    outputs.files(&data)?;
    outputs.add("what the bake says", fs::read_to_string(&said)?);
    ensure!(status.success(), "{}", fs::read_to_string(&said)?);
    let verify = agent.cli(["bake", "verify", &data.display().to_string()])?;
    ensure!(verify.status.success(), "{verify:?}");
    outputs.command("bake verify", &verify);
    // The image that goes on the AMI beside the data is the collator's own; the agent's state goes with the bake.
    if agent.state_dir().exists() {
        outputs.files(&agent.state_dir())?;
    }
    outputs.judge(&["t0rn_testnet", "sha256"])
}

#[test]
fn secret_in_an_address_that_a_command_is_given_is_not_repeated() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("agent.toml");
    let place = dir.path().display();
    let text = format!(
        "[agent]\nstate_dir = \"{place}/state\"\nsocket = \"{place}/a.sock\"\n[collator]\nimage = \"a:1\"\n[data]\npath = \"{place}/data\"\n"
    );
    fs::write(&config, text)?;
    fs::create_dir(dir.path().join("data"))?;
    let [word, query] = [plants::LOGIN.1, plants::WEBHOOK[1]];
    let recorder = CredentialRecorder::default();
    let none = start(
        &recorder,
        "server",
        Ipv4Addr::LOCALHOST,
        false,
        Reply::Text(404, "no".to_owned()),
    )?;
    let mut outputs = Outputs::default();
    for at in [
        none.to_string(),
        "127.0.0.1:1".to_owned(),
        "nowhere.invalid:port".to_owned(),
    ] {
        for scheme in ["http", "https", "ftp"] {
            let url = format!("{scheme}://{word}:{word}@{at}/chain.tar.zst?signature={query}");
            for args in [
                &["snapshot", "verify", &url][..],
                &["snapshot", "verify", "--json", &url],
                &["snapshot", "restore", &url],
                &["replay", "--from-prometheus", &url],
            ] {
                let mut command = Command::new(t0rn_agent_tests::agent::binary()?);
                let output = wait::run(60, command.arg("--config").arg(&config).args(args))?;
                ensure!(
                    !output.status.success() && !output.stderr.is_empty(),
                    "{args:?}: {output:?}"
                );
                outputs.command(&args.join(" "), &output);
            }
        }
    }
    outputs.judge(&[&none.to_string(), "404"])
}

#[test]
fn secret_in_a_configuration_with_mistakes_is_not_quoted() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("agent.toml");
    let secret = plants::LOGIN.1;
    let mut outputs = Outputs::default();
    for text in [
        format!("[notify]\nwebhook = \"ftp://h.example/{secret}\"\n"),
        format!("[notify]\nwebhook = \"https://h.example/{secret}\n"),
        format!("[notify]\nwebhok = \"https://h.example/{secret}\"\n"),
        format!("[chains.parachain]\nreference = [\"https://u:{secret}@h.example/\"]\n"),
        format!("[collator]\nimage = \"a:1\"\nenv = {{ TOKEN = [\"{secret}\"] }}\n"),
        format!("[collator]\nimage = \"a:1\"\nenv = {{ TOKEN = \"{secret}\", TOKEN = \"{secret}\" }}\n"),
        format!("[collator]\nimage = \"a:1\"\ncommand = [\"--password\", \"{secret}\", 1]\n"),
        format!("[collator]\nimage = \"a:1\"\ncommand = \"--password {secret}\"\n"),
        format!("[collator]\nimage = \"a:1\"\npassword = \"{secret}\"\n"),
        format!("[collator]\nregistry_auth = \"me:{secret}\"\n"),
        format!("[metrics]\nlisten = \"https://u:{secret}@h.example/\"\n"),
        format!("[ec2]\nimds = \"http://u:{secret}@169.254.169.254\"\n"),
    ] {
        fs::write(&config, &text)?;
        for args in [&["config", "check"][..], &["check"], &["status"], &["run"], &["bake"]] {
            let mut command = Command::new(t0rn_agent_tests::agent::binary()?);
            let output = wait::run(60, command.arg("--config").arg(&config).args(args))?;
            ensure!(!output.status.success(), "{args:?} of {text}: {output:?}");
            outputs.command(&format!("{args:?} of {text}"), &output);
        }
    }
    outputs.judge(&["notify.webhook"])
}
