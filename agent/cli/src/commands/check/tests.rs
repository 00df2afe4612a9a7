#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::*;
use agent_config::ContainerUser;
use agent_core::event::HostFacts;
use agent_daemon::engine_stub::{Engine, Log};
use agent_files::Mount;

fn config(more: &str) -> Config {
    Config::parse(&format!("[collator]\nimage = \"example/collator:1\"\n{more}"), "test").unwrap()
}

fn of(report: &CheckReport, check: &str) -> Vec<Finding> {
    report.checks.iter().filter(|f| f.check == check).cloned().collect()
}

#[tokio::test]
async fn without_docker_its_checks_are_skipped_and_others_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config("");
    config.agent.docker = dir.path().join("docker.sock");
    config.agent.socket = dir.path().join("agent.sock");
    config.data.path = dir.path().join("data");
    let report = run_checks(&config).await;
    assert_eq!((report.result, report.exit_code()), (Grade::Fail, 1));
    assert_eq!(of(&report, "docker")[0].result, Grade::Fail);
    assert_eq!(of(&report, "agent")[0].result, Grade::Warn);
    for check in ["image", "container", "ports", "exporters"] {
        assert_eq!(of(&report, check)[0].result, Grade::Skip, "{check}");
    }
    for check in [
        "data",
        "filesystem",
        "disk",
        "keystore",
        "state",
        "memory",
        "clock",
        "network",
    ] {
        assert_eq!(of(&report, check).len(), 1, "{check}");
    }
}

#[tokio::test]
async fn running_container_and_its_exporters_are_checked() {
    let engine = Engine::start(Log::Short);
    let mut config = engine.config.clone();
    config.agent.socket = "/nonexistent/agent.sock".into();
    for exporter in config.chains.values_mut() {
        exporter.metrics = "http://127.0.0.1:1/metrics".to_owned();
    }
    let report = run_checks(&config).await;
    let container = &of(&report, "container")[0];
    assert_eq!(container.result, Grade::Warn);
    assert!(container.text.contains("another configuration"), "{}", container.text);
    let exporters = of(&report, "exporters");
    assert_eq!(exporters.len(), 2);
    assert!(exporters.iter().all(|f| f.result == Grade::Fail));
    assert!(exporters[0].text.contains("127.0.0.1:1"), "{}", exporters[0].text);
}

#[test]
fn taken_port_fails_unless_the_collator_runs() {
    // An address of its own: other tests take any port of 127.0.0.1.
    let taken = TcpListener::bind(("127.83.7.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = config(&format!("ports = [\"127.83.7.1:{port}:9944/tcp\"]\n"));
    let found = ports::check_ports(&config, false, None);
    assert_eq!(found.result, Grade::Fail);
    assert!(
        found.text.contains(&format!("127.83.7.1:{port}/tcp is taken")),
        "{}",
        found.text
    );
    assert_eq!(ports::check_ports(&config, true, None).result, Grade::Pass);
    drop(taken);
    // A program that another test is just starting may hold it for a moment longer.
    let end = Instant::now() + TIMEOUT;
    while ports::check_ports(&config, false, None).result != Grade::Pass {
        assert!(Instant::now() < end, "it is free again");
        std::thread::yield_now();
    }
}

#[test]
fn data_directory_of_another_user_fails_with_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let meta = fs::metadata(dir.path()).unwrap();
    let user = |uid| Some(ContainerUser { uid, gid: meta.gid() });
    assert_eq!(data::check_owner(dir.path(), user(meta.uid())).result, Grade::Pass);
    let found = data::check_owner(dir.path(), user(meta.uid() + 1));
    assert_eq!(found.result, Grade::Fail);
    assert!(found.text.contains("chown -R"), "{}", found.text);
    assert_eq!(data::check_owner(&dir.path().join("new"), user(7)).result, Grade::Pass);
    fs::write(dir.path().join("file"), "").unwrap();
    assert_eq!(data::check_owner(&dir.path().join("file"), None).result, Grade::Fail);
}

#[test]
fn state_directory_that_takes_nothing_fails_and_little_room_warns() {
    let dir = tempfile::tempdir().unwrap();
    let much = Some((1 << 30, 1 << 40));
    let found = |path: &Path, space| state::check_dir(path, space, &[]);
    assert_eq!(found(dir.path(), much).result, Grade::Pass);
    assert_eq!(
        found(&dir.path().join("new"), much).result,
        Grade::Pass,
        "the agent makes it"
    );
    let little = found(dir.path(), Some((100 << 20, 1 << 40)));
    assert!(
        little.result == Grade::Warn && little.text.contains("recordings and incidents may be lost"),
        "{little:?}"
    );
    assert_eq!(found(dir.path(), None).result, Grade::Skip);
    let device = fs::metadata(dir.path()).unwrap().dev();
    let mounts = Mount::parse(
        format!(
            "40 1 {}:{} / / rw - ext4 /dev/nvme1n1 rw,emergency_ro",
            rustix::fs::major(device),
            rustix::fs::minor(device)
        )
        .as_bytes(),
    );
    let stopped = state::check_dir(dir.path(), much, &mounts);
    assert!(
        stopped.result == Grade::Fail && stopped.text.contains("look at dmesg"),
        "{stopped:?}"
    );
    fs::write(dir.path().join("file"), "").unwrap();
    let file = found(&dir.path().join("file"), much);
    assert!(
        file.result == Grade::Fail && file.text.contains("correct agent.state_dir"),
        "{file:?}"
    );
}

#[test]
fn readable_keys_fail_and_missing_keys_warn() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config("command = [\"--collator\"]\n");
    config.data.path = dir.path().to_owned();
    config.collator.user = None;
    assert_eq!(keystore::check_keystore(&config).result, Grade::Warn);
    let store = dir.path().join("chains/t0rn/keystore");
    fs::create_dir_all(&store).unwrap();
    mode(&store, 0o700);
    let found = keystore::check_keystore(&config);
    assert!(
        found.result == Grade::Warn && found.text.contains("no key in"),
        "{found:?}"
    );
    let key = store.join("61757261d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d");
    fs::write(&key, "\"secret seed words\"").unwrap();
    mode(&key, 0o644);
    let found = keystore::check_keystore(&config);
    assert!(
        found.result == Grade::Fail && found.text.contains("chmod 600"),
        "{found:?}"
    );
    assert!(!found.text.contains("secret"), "a secret was told");
    mode(&key, 0o600);
    assert_eq!(keystore::check_keystore(&config).result, Grade::Pass);
    mode(&store, 0o755);
    assert_eq!(
        keystore::check_keystore(&config).result,
        Grade::Pass,
        "as the node makes it"
    );
    let pipe = store.join("61757261d5");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    let found = keystore::check_keystore(&config);
    assert!(
        found.result == Grade::Fail && found.text.contains("61757261d5 is no regular file: remove it"),
        "{found:?}"
    );
    fs::remove_file(&pipe).unwrap();
    mode(&store, 0o777);
    assert_eq!(keystore::check_keystore(&config).result, Grade::Fail);
    config.collator.command.clear();
    config.data.path = dir.path().join("empty");
    assert_eq!(keystore::check_keystore(&config).result, Grade::Skip);
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn memory_limit_above_the_hosts_memory_fails() {
    let gib = 1 << 30;
    let with = |limit: &str| config(&format!("memory = \"{limit}\"\n"));
    assert_eq!(host::check_memory(&with("9GiB"), Some(8 * gib)).result, Grade::Fail);
    assert_eq!(host::check_memory(&with("7900MiB"), Some(8 * gib)).result, Grade::Warn);
    assert_eq!(host::check_memory(&with("6GiB"), Some(8 * gib)).result, Grade::Pass);
    assert_eq!(host::check_memory(&config(""), Some(8 * gib)).result, Grade::Pass);
    assert_eq!(host::check_memory(&config(""), None).result, Grade::Skip);
}

#[test]
fn unknown_clock_and_network_are_skipped() {
    let facts = |offset, network| HostFacts {
        clock_offset_ms: offset,
        network_ok: network,
        ..HostFacts::default()
    };
    let config = config("");
    for (offset, result) in [
        (None, Grade::Skip),
        (Some(-12.0), Grade::Pass),
        (Some(-731.0), Grade::Fail),
    ] {
        assert_eq!(
            host::check_clock(&config, &facts(offset, None)).result,
            result,
            "{offset:?}"
        );
    }
    for (network, result) in [
        (None, Grade::Skip),
        (Some(true), Grade::Pass),
        (Some(false), Grade::Fail),
    ] {
        assert_eq!(host::check_network(&facts(None, network)).result, result, "{network:?}");
    }
}

#[test]
fn report_has_one_line_for_each_check_and_counts() {
    let report = CheckReport::new(vec![
        Finding::pass("docker", "answers, API 1.41"),
        Finding::warn("agent", "does not run"),
        Finding::skip("clock", "cannot be determined"),
    ]);
    let text = "PASS  docker      answers, API 1.41\n\
                WARN  agent       does not run\n\
                SKIP  clock       cannot be determined\n\
                3 checks: 0 fail, 1 warn, 1 pass, 1 skip\n";
    assert_eq!((report.render().as_str(), report.exit_code()), (text, 0));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        (&json["result"], &json["checks"][1]["result"]),
        (&"warn".into(), &"warn".into())
    );
}

#[test]
fn identity_is_checked_only_where_required() {
    assert_eq!(identity::check_identity(&config("[identity]\nrequired = false")), []);
    let dir = tempfile::tempdir().unwrap();
    let asks = format!("[identity]\nrequired = true\nmount = {:?}", dir.path());
    let found = identity::check_identity(&config(&asks));
    assert_eq!(found[0].result, Grade::Fail);
    assert!(found[0].text.contains("identity init --format"), "{found:?}");
}
