#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use agent_core::event::Chain;
use agent_core::machine::Policy;
use proptest::prelude::*;

use super::*;
use crate::reader::DocumentReader;
use crate::reference::uncommented;

const MINIMAL: &str = "[collator]\nimage = \"a:1\"\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, "agent.toml")
}

#[test]
fn printed_default_is_the_default_of_every_key() {
    let default = parse(DEFAULT).unwrap();
    let minimal = parse(&format!("[collator]\nimage = \"{}\"\n", default.collator.image)).unwrap();
    assert_eq!(default, minimal);
}

#[test]
fn printed_default_names_every_key_that_is_read() {
    let text = uncommented(DEFAULT);
    let (root, _) = toml::de::DeTable::parse_recoverable(&text);
    let mut document = DocumentReader::new(&text, "agent.toml", root.get_ref());
    sections::config(&mut document);
    for key in document.known().clone().into_keys() {
        assert!(document.has(&key), "{key} is read, but not in the printed default");
    }
    document.finish(()).unwrap();
}

#[test]
fn documentation_of_every_key_says_what_it_is_for() {
    let sections = crate::reference::sections();
    let keys = |section: &crate::reference::Section| section.keys.len();
    assert!(sections.len() == 15 && sections.iter().all(|section| keys(section) > 0));
    for section in &sections {
        let silent = section.keys.iter().find(|key| key.text.is_empty());
        assert!(silent.is_none(), "{}: {silent:?}", section.name);
    }
}

#[test]
fn optional_lines_of_the_printed_default_are_valid() {
    let full = parse(&uncommented(DEFAULT)).unwrap();
    assert_eq!(full.collator.memory, Some(3 << 30));
    assert_eq!(full.mounts.len(), 1);
    assert!(full.notify.webhook.is_some() && full.collator.registry_auth.is_some());
}

#[test]
fn shipped_profiles_are_valid_and_reach_both_exporters() {
    for (file, text) in [
        (
            "t0rn-rococo.toml",
            include_str!("../../../dist/examples/t0rn-rococo.toml"),
        ),
        (
            "paseo-parachain.toml",
            include_str!("../../../dist/examples/paseo-parachain.toml"),
        ),
    ] {
        for text in [text.to_owned(), switched_on(text)] {
            let config = Config::parse(&text, file).unwrap_or_else(|e| panic!("{e}"));
            let external = config
                .collator
                .command
                .iter()
                .filter(|a| *a == "--prometheus-external")
                .count();
            assert_eq!(external, 2, "{file}");
            let base = config.collator.command.iter().position(|a| a == "--base-path").unwrap();
            assert_eq!(
                PathBuf::from(&config.collator.command[base + 1]),
                config.data.target,
                "{file}"
            );
            for exporter in config.chains.values() {
                let port = url::Url::parse(&exporter.metrics).unwrap().port().unwrap();
                let loopback = Some([127, 0, 0, 1].into());
                let reached = |p: &PublishedPort| p.address == loopback && p.host == port && p.container == port;
                assert!(
                    config.collator.ports.iter().any(reached),
                    "{file}: {}",
                    exporter.metrics
                );
                assert!(config.collator.command.contains(&port.to_string()), "{file}: {port}");
            }
        }
    }
}

/// A profile with its optional mounts and arguments switched on.
fn switched_on(text: &str) -> String {
    let line = |line: &str| match line.trim_start().strip_prefix('#') {
        Some(key) if key.starts_with(['"', '[', 's', 't']) => key.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(|l| line(l) + "\n").collect()
}

#[test]
fn values_of_every_kind_are_read() {
    let config = parse(
        r#"
        [collator]
        image = "127.0.0.1:5000/t0rn@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
        command = ["--name", "a b", ""]
        env = { RUST_LOG = "info" }
        network = "host"
        user = ""
        memory = "3GiB"
        pull = "never"
        [data]
        path = "/var//lib/x/"
        [[mounts]]
        source = "/a"
        target = "/b"
        read_only = true
        [chains.relaychain]
        prefix = "polkadot"
        reference = "https://rpc.example.com/key"
        idle = "expected"
        block_time = "6s"
        [health]
        scrape_interval = "1s"
        [host]
        disk_floor = 1_024
        [metrics]
        listen = ""
        [ec2]
        enabled = false
        "#,
    )
    .unwrap();
    assert_eq!(config.collator.command, ["--name", "a b", ""]);
    assert_eq!(
        config.collator.env,
        BTreeMap::from([("RUST_LOG".to_owned(), "info".to_owned())])
    );
    assert_eq!(
        (config.collator.user, config.collator.memory, config.collator.pull),
        (None, Some(3 << 30), PullPolicy::Never)
    );
    assert_eq!(config.collator.ports, []);
    assert_eq!(config.data.path.as_os_str(), "/var/lib/x");
    assert!(config.mounts[0].read_only);
    assert_eq!(config.chains.keys().collect::<Vec<_>>(), [&Chain::Relaychain]);
    let relay = &config.chains[&Chain::Relaychain];
    assert_eq!(relay.prefix, "polkadot");
    assert_eq!(relay.references[0].as_str(), "https://rpc.example.com/key");
    let idle = Idle {
        expected: true,
        max: Some(Duration::from_mins(5)),
    };
    assert_eq!(relay.idle, idle);
    assert_eq!(Policy::from(&config).idle, BTreeMap::from([(Chain::Relaychain, idle)]));
    assert_eq!(config.health.scrape_timeout, Duration::from_millis(600));
    assert_eq!(config.host.disk_floor, 1024);
    assert_eq!((config.metrics.listen, config.ec2.enabled), (None, Some(false)));
}

#[test]
fn problems_are_reported_together_in_the_order_of_lines() {
    let error = parse("[collator]\nimag = 1\n\n[health]\nstall_after = 5\n[data]\npath = \"x\"\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "agent.toml:1: key `collator.image`: missing; write the image to run, as NAME:TAG or NAME@sha256:…\n\
         agent.toml:2: key `collator.imag`: unknown key (did you mean `image`?); correct or remove it\n\
         agent.toml:5: key `health.stall_after`: 5 is no duration; write a number and a unit in quotes, such as \"30s\"\n\
         agent.toml:7: key `data.path`: \"x\" is a relative path; write it from the root, beginning with /"
    );
}

#[test]
fn file_of_unknown_keys_is_reported_in_fifty_lines() {
    let text = (0..20_000).fold(String::new(), |text, i| text + &format!("key{i} = 1\n"));
    let message = parse(&text).unwrap_err().to_string();
    assert_eq!(message.lines().count(), 51);
    assert!(message.ends_with("… and 19951 more"), "{message}");
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "([a-z]{0,3}[\\[\\]=.\"{}#,\n0-9 \\PC]{0,4}){0,30}") {
        let _ = parse(&text).map_err(|e| e.to_string());
    }
}

#[test]
fn errors_and_debug_output_show_no_secret() {
    let config = parse(&format!("{MINIMAL}[notify]\nwebhook = \"https://h/s3cr3t\"\n")).unwrap();
    assert!(!format!("{config:?}").contains("s3cr3t"));
    let config = parse(&format!(
        "{MINIMAL}[chains.parachain]\nreference = \"https://h/s3cr3t\"\n"
    ))
    .unwrap();
    assert!(!format!("{config:?}").contains("s3cr3t"));
    for broken in [
        "[notify]\nwebhook = \"s3cr3t\"",
        "[notify]\nwebhook = \"ftp://h/s3cr3t\"",
        "[chains.parachain]\nmetrics = \"http://u:s3cr3t@h/\"",
        "[notify]\nwebhook = \"https://h/s3cr3t",
        "[chains.parachain]\nreference = \"s3cr3t\"",
        "[chains.parachain]\nreference = \"wss://h/s3cr3t\"",
    ] {
        let error = parse(&format!("{MINIMAL}{broken}")).unwrap_err();
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }
}

#[test]
fn byte_order_mark_is_ignored() {
    assert!(parse(&format!("\u{feff}{MINIMAL}")).is_ok());
    let error = parse("\u{feff}[collator]\nimage = 1").unwrap_err();
    assert_eq!(error.problems[0].line, Some(2));
}

#[test]
fn unreadable_file_is_refused_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("agent.toml");
    let name = file.display();
    let load = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        Config::load(&file).map_err(|e| e.to_string())
    };
    let start = format!("{name}: ");

    assert_eq!(
        Config::load(&file).unwrap_err().to_string(),
        start.clone()
            + "there is no such file; write one, beginning with `t0rn-agent config default`, or name another with --config"
    );
    assert!(load(MINIMAL.as_bytes()).is_ok());
    assert!(load(format!("\u{feff}{MINIMAL}").as_bytes()).is_ok());
    let empty = "is empty; write at least [collator] with its image: `t0rn-agent config default` shows every key";
    assert_eq!(load(b"").unwrap_err(), start.clone() + empty);
    assert_eq!(load(b" \n\t\n").unwrap_err(), start.clone() + empty);
    assert_eq!(
        load(&vec![b'#'; 10 << 20]).unwrap_err(),
        start.clone() + "is larger than 1 MiB; name a configuration file of the agent"
    );
    assert_eq!(
        load(b"\xff\xfe[\0").unwrap_err(),
        start.clone() + "is UTF-16 text; save it as UTF-8"
    );
    assert_eq!(
        load(b"[collator]\n# caf\xe9\n").unwrap_err(),
        format!("{name}:2: byte 0xe9 is not UTF-8; save the file as UTF-8")
    );
    let parent = dir.path().display();
    assert_eq!(
        Config::load(dir.path()).unwrap_err().to_string(),
        format!("{parent}: is a directory; name the file in it, such as {name}")
    );
    let pipe = dir.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    assert_eq!(
        Config::load(&pipe).unwrap_err().to_string(),
        format!("{}: is a pipe; name a file", pipe.display())
    );
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read everything.
    if !rustix::process::geteuid().is_root() {
        assert_eq!(
            Config::load(&file).unwrap_err().to_string(),
            start + "permission denied; make it readable for the user that runs this command, or run it as root"
        );
    }
}
