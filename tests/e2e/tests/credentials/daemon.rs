//! The daemon and the commands that talk to it, with a real engine and registries that ask for passwords.

use std::env;
use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::credentials::CredentialRecorder;
use t0rn_agent_tests::ec2::{ACCESS_KEY, API, Ec2Emulator, INSTANCE, SECRET_KEY, SESSION, TOKEN};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::recording::{RegistryFront, Reply, start};
use t0rn_agent_tests::registry::Registry;
use t0rn_agent_tests::sim_image;
use t0rn_agent_tests::wait::{self, LATER, SOON};

use crate::{address, never_asked, stranger};

const OF_A: &str = "word-of-registry-a";
const OF_B: &str = "word-of-registry-b";
const OF_ANOTHER: &str = "word-of-a-registry-nobody-asks";
const TICKET: &str = "ticket-of-the-blobs";
const HOOK: &str = "path-of-the-webhook";
const MOVED_HOOK: &str = "path-of-the-moved-webhook";
const NODE: &str = "key-of-the-reference";
const MOVED_NODE: &str = "key-of-the-moved-reference";
const REPOSITORY: &str = "t0rn/sim";

/// Registries in front of one: with a login each, without any, and one that no update may take from.
struct Registries {
    a: String,
    b: String,
    open: String,
    other: String,
}

impl Registries {
    fn start(recorder: &CredentialRecorder, behind: &Registry) -> Result<Self> {
        let front = |service, number, login: Option<&str>| RegistryFront {
            service,
            address: address(number),
            login: login.map(|word| format!("agent:{word}")),
            blobs: None,
            ticket: format!("token={TICKET}"),
        };
        let blobs = front("blobs", 31, None).start(recorder, behind)?;
        let mut a = front("registry a", 32, Some(OF_A));
        a.blobs = Some(format!("http://{blobs}"));
        Ok(Self {
            a: a.start(recorder, behind)?,
            b: front("registry b", 33, Some(OF_B)).start(recorder, behind)?,
            open: front("open registry", 34, None).start(recorder, behind)?,
            other: front("other registry", 35, None).start(recorder, behind)?,
        })
    }

    /// Docker's `config.json`, with logins for both and for one that is never asked.
    fn logins(&self) -> Value {
        json!({ "auths": {
            &self.a: { "username": "agent", "password": OF_A },
            &self.b: { "username": "agent", "password": OF_B },
            "registry.example.org": { "username": "agent", "password": OF_ANOTHER },
        } })
    }
}

/// A registry with three images of the simulated collator.
fn images(engine: &Engine) -> Result<Registry> {
    let behind = Registry::start()?;
    for tag in ["v1", "v2", "v3"] {
        let image = format!("t0rn-sim-credentials:{tag}");
        sim_image::variant(engine, &image, &["--sim-block-time", "500"])?;
        behind.push(engine, &image, &format!("{REPOSITORY}:{tag}"))?;
        // So that the engine has to fetch a blob.
        engine.docker(["rmi", &image])?;
    }
    Ok(behind)
}

#[test]
fn daemon_brings_each_service_its_own_credentials_alone() -> Result<()> {
    let engine = Engine::shared()?;
    let planted = [
        OF_A, OF_B, OF_ANOTHER, TICKET, HOOK, MOVED_HOOK, NODE, MOVED_NODE, ACCESS_KEY, SECRET_KEY, SESSION, TOKEN,
    ];
    let recorder = CredentialRecorder::new(&planted)?;
    let behind = images(&engine)?;
    let registries = Registries::start(&recorder, &behind)?;
    let stranger = format!("http://{}", stranger(&recorder, 40)?);
    let away = || Reply::Redirect(307, format!("{stranger}*"));
    let ec2 = Ec2Emulator::recorded(address(41), &recorder)?;
    let hook = start(
        &recorder,
        "webhook",
        address(42),
        false,
        Reply::Text(204, String::new()),
    )?;
    let moved_hook = start(&recorder, "moved webhook", address(43), false, away())?;
    let node = start(&recorder, "reference", address(44), false, Reply::Node(12))?;
    let moved_node = start(&recorder, "moved reference", address(45), false, away())?;

    let mut agent = Agent::new(&engine, "credentials", &SYNCING)?;
    let logins = agent.state_dir().with_file_name("registries.json");
    fs::write(&logins, registries.logins().to_string())?;
    fs::set_permissions(&logins, Permissions::from_mode(0o600))?;
    agent.set("collator.image", format!("{}/{REPOSITORY}:v1", registries.a))?;
    agent.set("collator.registry_auth", logins.display().to_string())?;
    let allowed = [&registries.b, &registries.open].map(|host| format!("{host}/{REPOSITORY}"));
    agent.set("update.repositories", allowed.to_vec())?;
    agent.set("update.probation", "3s")?;
    agent.set("ec2.enabled", "auto")?;
    agent.set("ec2.imds", ec2.url())?;
    agent.set("ec2.lifecycle_hook", "stop-collator")?;
    agent.set_env("AWS_ENDPOINT_URL_AUTO_SCALING", ec2.url());
    agent.set("notify.webhook", format!("http://{moved_hook}/services/{MOVED_HOOK}"))?;
    agent.set("chains.parachain.reference", format!("http://{node}/v3/{NODE}"))?;
    agent.set(
        "chains.relaychain.reference",
        format!("http://{moved_node}/v3/{MOVED_NODE}"),
    )?;
    // What is not there: a metadata service that leads elsewhere.
    ec2.redirect(
        "events/recommendations/rebalance",
        &format!("{stranger}/latest/meta-data"),
    );
    agent.start()?;
    agent.wait_watched()?;
    agent.wait_for("the instance", SOON, |status| status["ec2"]["instance_id"] == INSTANCE)?;
    let told = agent.cli(["notify", "test"])?;
    ensure!(
        !told.status.success(),
        "a redirect to another server was followed: {told:?}"
    );

    agent.kill()?;
    agent.set("notify.webhook", format!("http://{hook}/services/{HOOK}"))?;
    agent.start()?;
    agent.wait_watched()?;
    agent.ok(["notify", "test"])?;
    let _ = agent.cli(["check"])?;
    for image in [
        format!("{}/{REPOSITORY}:v2", registries.other),
        format!("{}/another/repository:v2", registries.a),
    ] {
        let refused = agent.cli(["update", "--image", &image, "--wait"])?;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        ensure!(
            !refused.status.success() && said.contains("update.repositories"),
            "{image}: {refused:?}"
        );
    }
    for image in [
        format!("{}/{REPOSITORY}:v2", registries.b),
        format!("{}/{REPOSITORY}:v3", registries.open),
        format!("{}/{REPOSITORY}:v2", registries.a),
    ] {
        let mut child = agent.spawn_cli(["update", "--image", &image, "--wait"])?;
        let status = wait::exit(&mut child, LATER)?;
        ensure!(status.success(), "{image}: {status} {}", agent.status()?["update"]);
    }
    for service in ["reference", "moved reference"] {
        wait::until(service, LATER, || recorder.sent_to(service).context("not asked yet"))?;
    }

    ec2.redirect(API, &stranger);
    ec2.set("autoscaling/target-lifecycle-state", "Terminated");
    wait::until("the API", SOON, || recorder.sent_to("api").context("not called yet"))?;
    recorder.judge(&[
        ("registry a", &[OF_A]),
        ("registry b", &[OF_B]),
        ("blobs", &[TICKET]),
        ("webhook", &[HOOK]),
        ("moved webhook", &[MOVED_HOOK]),
        ("reference", &[NODE]),
        ("moved reference", &[MOVED_NODE]),
        ("metadata", &[TOKEN]),
        ("api", &[ACCESS_KEY, SESSION]),
    ])?;
    never_asked(&recorder, &["stranger", "other registry"])?;
    ensure!(
        recorder.sent_to("open registry").is_some(),
        "the open registry was never asked"
    );
    Ok(())
}

#[test]
fn download_from_elsewhere_is_not_led_to_the_metadata_service() -> Result<()> {
    let engine = Engine::shared()?;
    let recorder = CredentialRecorder::new(&[TOKEN, ACCESS_KEY, "word-of-the-origin"])?;
    let Some(elsewhere) = bridge_address()? else {
        t0rn_agent_tests::skip!("no address beside loopback: run it through tests/tools/with-engine.sh");
    };
    let ec2 = Ec2Emulator::recorded(address(51), &recorder)?;
    let to = Reply::Redirect(
        302,
        format!("{}/latest/meta-data/iam/security-credentials/role", ec2.url()),
    );
    let origin = start(&recorder, "origin", elsewhere, false, to)?;
    let agent = Agent::new(&engine, "led", &[])?;
    let url = format!("http://fetcher:word-of-the-origin@{origin}/chain.tar.zst");
    let output = agent.cli(["snapshot", "verify", &url])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        !output.status.success() && said.contains("an address of this host"),
        "{output:?}"
    );
    recorder.judge(&[("origin", &["word-of-the-origin"])])?;
    never_asked(&recorder, &["metadata", "api"])
}

/// An address of this host that is neither loopback nor link-local: the engine's bridge.
fn bridge_address() -> Result<Option<Ipv4Addr>> {
    let Ok(bridge) = env::var("T0RN_TEST_BRIDGE") else {
        return Ok(None);
    };
    let shown = wait::run(
        10,
        Command::new("ip").args(["-4", "-o", "address", "show", "dev", &bridge]),
    )?;
    let shown = String::from_utf8(shown.stdout)?;
    let address = shown.split_whitespace().skip_while(|word| *word != "inet").nth(1);
    let address = address.and_then(|text| text.split('/').next()?.parse().ok());
    Ok(Some(address.with_context(|| format!("no address in {shown}"))?))
}
