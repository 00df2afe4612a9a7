//! The command line where nobody answers, and configurations that are none.

use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::agent::{Agent, binary};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::wait;

fn run(args: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command
        .args(args)
        .env_remove("HOME")
        .env_remove("TERM")
        .env_remove("T0RN_AGENT_CONFIG");
    wait::run(30, &mut command)
}

#[test]
fn a_bad_configuration_file_is_refused_with_code_2_and_its_name() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = |name: &str, content: &[u8]| -> Result<String> {
        let path = dir.path().join(name);
        fs::write(&path, content)?;
        Ok(path.display().to_string())
    };
    let huge = format!("[collator]\nimage = \"{}\"\n", "x".repeat(10 << 20));
    let bad = [
        dir.path().join("nowhere.toml").display().to_string(),
        dir.path().display().to_string(),
        file("empty.toml", b"")?,
        file("binary.toml", &[0xff, 0xfe, 0x00, 0x01])?,
        file("huge.toml", huge.as_bytes())?,
        file("unknown.toml", b"[collator]\nimage = \"a:b\"\nimagee = \"c\"\n")?,
    ];
    for path in bad {
        let began = Instant::now();
        let output = run(&["config", "check", &path])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.code() == Some(2) && said.contains(&path),
            "{path}: {} {said}",
            output.status
        );
        ensure!(
            said.len() < 10_000 && began.elapsed() < Duration::from_secs(10),
            "{path}: {} characters",
            said.len()
        );
    }
    Ok(())
}

#[test]
fn an_error_is_an_exit_code_where_backtraces_are_asked_for() -> Result<()> {
    for args in [["replay", "/nowhere"], ["config", "check"]] {
        let mut command = Command::new(binary()?);
        command.args(args).arg("/nowhere").env("RUST_BACKTRACE", "full");
        let output = wait::run(30, &mut command)?;
        ensure!(
            matches!(output.status.code(), Some(1 | 2)),
            "{args:?}: {}",
            output.status
        );
    }
    Ok(())
}

#[test]
fn a_good_configuration_file_is_accepted_also_with_a_bom() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("agent.toml");
    for content in ["[collator]\nimage = \"a:b\"\n", "\u{feff}[collator]\nimage = \"a:b\"\n"] {
        fs::write(&path, content)?;
        let output = run(&["config", "check", &path.display().to_string()])?;
        ensure!(
            output.status.code() == Some(0),
            "{content:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

#[test]
fn with_nobody_there_every_client_command_ends_with_code_3_in_time() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("agent.sock").display().to_string();
    for command in [
        &["status"][..],
        &["status", "--json"],
        &["restart"],
        &["stop"],
        &["start"],
        &["resume"],
    ] {
        let began = Instant::now();
        let mut args = command.to_vec();
        args.extend(["--socket", &socket]);
        let output = run(&args)?;
        ensure!(output.status.code() == Some(3), "{command:?}: {output:?}");
        ensure!(
            began.elapsed() < Duration::from_secs(10),
            "{command:?} took {:?}",
            began.elapsed()
        );
    }
    Ok(())
}

#[test]
fn with_the_agent_down_status_tells_what_docker_knows() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::running(&engine, "down", &[])?;
    agent.kill()?;
    let output = agent.cli(["status"])?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(3), "{output:?}");
    ensure!(said.contains(agent.container()) && said.contains("running"), "{said}");
    Ok(())
}

#[test]
fn check_passes_beside_healthy_collator_and_names_remedy_otherwise() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::running(&engine, "check", &[])?;
    let check = |agent: &Agent, code: i32| -> Result<Value> {
        let output = agent.cli(["check", "--json"])?;
        ensure!(output.status.code() == Some(code), "{output:?}");
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let found = |report: &Value, check: &str| -> Value {
        let checks = report["checks"].as_array().cloned().unwrap_or_default();
        checks.into_iter().find(|f| f["check"] == check).unwrap_or_default()
    };
    let report = check(&agent, 0)?;
    for passed in ["agent", "docker", "image", "container", "exporters", "data"] {
        ensure!(found(&report, passed)["result"] == "pass", "{passed}: {report}");
    }

    agent.set("collator.image", "t0rn-agent-test/no-such-image:1")?;
    agent.set("collator.pull", "never")?;
    let image = found(&check(&agent, 1)?, "image");
    ensure!(
        image["result"] == "fail" && image["text"].to_string().contains("no-such-image"),
        "{image}"
    );
    Ok(())
}

#[test]
fn a_misused_command_ends_with_code_2() -> Result<()> {
    for args in [&["bogus"][..], &["pause"], &["status", "--bogus"]] {
        ensure!(run(args)?.status.code() == Some(2), "{args:?}");
    }
    Ok(())
}

#[test]
fn version_and_completions_need_nothing() -> Result<()> {
    let version = run(&["--version"])?;
    ensure!(String::from_utf8_lossy(&version.stdout).contains(env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish"] {
        ensure!(run(&["completions", shell])?.stdout.len() > 500, "{shell}");
    }
    Ok(())
}

#[test]
fn status_stays_short_and_plain_for_remote_shells() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "plain", &[])?;
    for args in [&["status"][..], &["status", "--json"]] {
        let output = agent.cli(args.iter().copied())?;
        let said = String::from_utf8(output.stdout)?;
        ensure!(
            said.chars().count() < 2_500,
            "{args:?}: {} characters",
            said.chars().count()
        );
        ensure!(!said.contains('\u{1b}'), "{args:?} has escape codes: {said:?}");
    }
    Ok(())
}
