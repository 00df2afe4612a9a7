//! Images that have to be signed, with a real cosign: a signed one runs, others do not.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::registry::{PASSWORD, Registry, USER};
use t0rn_agent_tests::{sim_image, skip, wait};

const REPOSITORY: &str = "t0rn/signed";

/// Runs cosign with the login of `registry`.
fn cosign(registry: &Registry, dir: &Path, args: &[&str]) -> Result<()> {
    let mut command = Command::new("cosign");
    command
        .args(args)
        .current_dir(dir)
        .env("COSIGN_PASSWORD", "")
        .env("HOME", dir)
        .env("DOCKER_CONFIG", registry.client_config());
    let output = wait::run(120, &mut command)?;
    ensure!(output.status.success(), "cosign {args:?}: {output:?}");
    Ok(())
}

/// The tag under which cosign keeps the signature of a digest.
fn signature_of(digest: &str) -> String {
    format!("{}.sig", digest.replace(':', "-"))
}

/// Gives the image of one digest the signature of another.
fn transplant(registry: &Registry, from: &str, to: &str) -> Result<()> {
    let url = |tag: &str| format!("http://{}/v2/{REPOSITORY}/manifests/{tag}", registry.host());
    let login = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let mut manifest = ureq::get(url(&signature_of(from)))
        .header("authorization", &login)
        .header("accept", kind)
        .call()?;
    let manifest = manifest.body_mut().read_to_vec()?;
    let put = ureq::put(url(&signature_of(to)))
        .header("authorization", &login)
        .header("content-type", kind)
        .send(&manifest)?;
    ensure!(put.status() == 201, "{}", put.status());
    Ok(())
}

#[test]
fn signed_image_runs_and_unsigned_or_tampered_ones_are_refused() -> Result<()> {
    if Command::new("cosign").arg("version").output().is_err() {
        skip!("cosign is missing: it is no package of Debian's, see docs/update.md");
    }
    let engine = Engine::shared()?;
    let registry = Registry::start()?;
    let dir = tempfile::tempdir()?;
    let mut digests = Vec::new();
    for tag in ["signed", "unsigned", "tampered", "of-another"] {
        let image = format!("t0rn-sim-signatures:{tag}");
        sim_image::variant(&engine, &image, &["--sim-block-time", "500"])?;
        digests.push(registry.push(&engine, &image, &format!("{REPOSITORY}:{tag}"))?);
        engine.docker(["rmi", &image])?;
    }
    let reference = |digest: &str| format!("{}/{REPOSITORY}@{digest}", registry.host());
    cosign(&registry, dir.path(), &["generate-key-pair"])?;
    cosign(
        &registry,
        dir.path(),
        &["generate-key-pair", "--output-key-prefix", "another"],
    )?;
    let sign = ["sign", "--yes", "--tlog-upload=false", "--key"];
    cosign(
        &registry,
        dir.path(),
        &[&sign[..], &["cosign.key", &reference(&digests[0])]].concat(),
    )?;
    cosign(
        &registry,
        dir.path(),
        &[&sign[..], &["another.key", &reference(&digests[3])]].concat(),
    )?;
    transplant(&registry, &digests[0], &digests[2])?;

    let mut agent = Agent::new(&engine, "signed", &SYNCING)?;
    let named = |tag: &str| format!("{}/{REPOSITORY}:{tag}", registry.host());
    agent.set("collator.image", named("signed"))?;
    agent.set("collator.registry_auth", registry.auth_file())?;
    let key = dir.path().join("cosign.pub").display().to_string();
    agent.set("collator.cosign_key", key)?;
    agent.start()?;
    agent.wait_watched()?;
    ensure!(agent.log().contains("signature verified"), "nothing was verified");
    let run = agent.run_id()?;
    for tag in ["unsigned", "tampered", "of-another"] {
        let refused = agent.cli(["update", "--image", &named(tag), "--wait"])?;
        let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
        ensure!(refused.status.code() == Some(1), "{tag}: {said}");
        ensure!(said.contains("its signature is not verified"), "{tag}: {said}");
        ensure!(
            agent.run_id().context("it was stopped")? == run,
            "{tag} touched what runs"
        );
    }
    Ok(())
}
