//! Where the file goes, and what a terminal is shown.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::Parser as _;
use serde_json::json;

use super::engine::Fake;
use crate::args::{Cli, CliCommand};
use crate::commands::init::destination::{self, Destination};
use crate::commands::init::draft::Draft;
use crate::commands::init::render::render;
use crate::commands::init::{execute, report};

/// Runs `init` with these arguments. Returns what it printed.
async fn init(words: &[&str]) -> anyhow::Result<String> {
    let cli = Cli::try_parse_from([&["t0rn-agent", "init", "--docker", "/nowhere.sock"], words].concat())?;
    let CliCommand::Init(args) = &cli.command else {
        panic!("{cli:?}")
    };
    let mut out = Vec::new();
    execute(args, &cli.globals, &mut out).await?;
    Ok(String::from_utf8(out)?)
}

const ANSWERS: [&str; 6] = [
    "--yes",
    "--image",
    "org/collator:v1",
    "--chain",
    "/etc/specs/x.json",
    "--output",
];

async fn init_to(file: &Path, more: &[&str]) -> anyhow::Result<String> {
    let file = file.to_str().unwrap();
    init(&[&ANSWERS, &[file][..], more].concat()).await
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn file_is_private_and_never_replaced_without_force() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let file = dir.path().join("agent.toml");
    init_to(&file, &[]).await.unwrap();
    assert_eq!(mode(&file), 0o600);
    assert!(agent_config::Config::load(&file).is_ok());

    fs::write(&file, "[collator]\nimage = \"mine:1\"\n").unwrap();
    let error = init_to(&file, &[]).await.unwrap_err();
    assert_eq!(crate::exit_code(&error), 2, "{error:#}");
    assert!(fs::read_to_string(&file).unwrap().contains("mine:1"));

    // Closed to all but its group: the file is the group's as well.
    fs::set_permissions(dir.path(), Permissions::from_mode(0o750)).unwrap();
    init_to(&file, &["--force"]).await.unwrap();
    assert_eq!(mode(&file), 0o640);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn file_of_the_package_that_sets_nothing_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("agent.toml");
    fs::write(&file, include_str!("../../../../../../dist/debian/agent.toml")).unwrap();
    init_to(&file, &[]).await.unwrap();
    assert!(agent_config::Config::load(&file).is_ok());
}

#[tokio::test]
async fn unusable_result_is_refused_and_nothing_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("agent.toml");
    let error = format!("{:#}", init_to(&file, &["--data", "/etc"]).await.unwrap_err());
    assert!(
        error.contains("nothing was written") && error.contains("data.path"),
        "{error}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn answers_make_a_collator_a_solo_node_or_one_by_rpc() {
    for (relay, chains, flag) in [
        ("paseo", 2, "--"),
        ("none", 1, "--validator"),
        ("wss://relay", 1, "--relay-chain-rpc-urls"),
    ] {
        let text = init(&[&ANSWERS, &["-", "--relay-chain", relay][..]].concat())
            .await
            .unwrap();
        let config = agent_config::Config::parse(&text, "test").unwrap();
        assert_eq!(config.chains.len(), chains, "{text}");
        assert!(config.collator.command.iter().any(|word| word == flag), "{text}");
        assert_eq!(config.mounts[0].source, Path::new("/etc/specs/x.json"), "{text}");
        assert!(config.collator.confinement.read_only, "{text}");
    }
}

#[tokio::test]
async fn missing_answer_is_a_usage_error_that_names_the_option() {
    let error = init(&["--yes", "--image", "x", "--output", "-"]).await.unwrap_err();
    assert_eq!(crate::exit_code(&error), 2);
    assert!(error.to_string().contains("write --chain"), "{error:#}");
}

#[tokio::test]
async fn missing_and_own_containers_are_refused() {
    let own = json!({"Id": "00", "Name": "/own", "Config": {"Labels": {"t0rn-agent.managed": "true"}}});
    for (container, reason) in [
        (serde_json::Value::Null, "there is no container own"),
        (own, "was made by t0rn-agent"),
    ] {
        let engine = Fake {
            container,
            ..Fake::default()
        }
        .start();
        let error = crate::commands::init::from_container(&engine.docker, "own")
            .await
            .map(drop)
            .unwrap_err();
        assert!(error.to_string().contains(reason), "{error:#}");
    }
}

#[test]
fn terminal_is_shown_neither_variables_nor_keys_of_the_command() {
    let draft = Draft {
        image: "org/collator:v1".to_owned(),
        command: ["--chain", "polkadot", "--node-key", "00112233445566778899aabbccddeeff"]
            .map(str::to_owned)
            .to_vec(),
        env: [("MOOD".to_owned(), "bottom drive obey".to_owned())].into(),
        ..Draft::default()
    };
    let shown = destination::shown(&draft, &render(&draft));
    assert!(
        shown.contains("org/collator:v1") && shown.contains("polkadot") && shown.contains("MOOD"),
        "{shown}"
    );
    assert!(
        !shown.contains("bottom drive") && !shown.contains("00112233"),
        "{shown}"
    );
}

#[test]
fn report_names_variables_without_their_values() {
    let mut draft = Draft {
        env: [("SEED".to_owned(), "bottom".to_owned())].into(),
        ..Draft::default()
    };
    draft.warn("a\u{1b}[2Jb");
    let mut said = Vec::new();
    report::notes(&mut said, &draft.notes).unwrap();
    let destination = Destination::new(Path::new("/nowhere/agent.toml"), false).unwrap();
    report::next_steps(&mut said, &draft, &destination).unwrap();
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.contains("SEED") && !said.contains("bottom") && !said.contains('\u{1b}'),
        "{said}"
    );
}
