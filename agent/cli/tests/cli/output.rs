//! Output, errors and exit codes that all commands share.

use std::fs::{self, File};

use agent_core::status::Health;

use crate::harness::{Sandbox, finish};

#[test]
fn closed_output_is_no_error() {
    let sandbox = Sandbox::new();
    sandbox.start_agent(Health::Degraded);
    for (words, code) in [
        (&["status"][..], 1),
        (&["status", "--watch"], 1),
        (&["resume"], 0),
        (&["config", "default"], 0),
        (&["completions", "bash"], 0),
        (&["incidents"], 0),
        (&["--help"], 0),
        (&["--version"], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let done = finish(sandbox.command(words).stdout(writer));
        assert_eq!((done.code, done.err.as_str()), (code, ""), "{words:?}");
    }
}

#[test]
fn unwritable_output_is_an_error() {
    let sandbox = Sandbox::new();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let done = finish(sandbox.command(&["config", "default"]).stdout(full));
    assert_eq!(done.code, 1);
    assert!(done.err.starts_with("error: cannot write the output: "), "{done:?}");
}

#[test]
fn usage_and_configuration_errors_exit_2() {
    let sandbox = Sandbox::new();
    for words in [
        &["explode"][..],
        &[],
        &["logs", "-n", "many"],
        &["pause", "--for", "2 hats", "--reason", "x"],
    ] {
        let done = sandbox.run(words);
        assert_eq!((done.code, done.out.as_str()), (2, ""), "{done:?}");
    }
    fs::write(sandbox.config(), "[collator]\nimage = 5\ncontainer = 6\n").unwrap();
    for words in [&["config", "check"][..], &["run"]] {
        let done = sandbox.run(words);
        assert_eq!((done.code, done.err.lines().count()), (2, 2), "{done:?}");
        assert!(
            done.err
                .lines()
                .all(|line| line.starts_with("error: ") && line.contains("agent.toml:"))
        );
    }
}

#[test]
fn log_of_an_agent_has_timestamps_outside_of_the_journal_alone() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.config(), "broken").unwrap();
    let mut run = sandbox.command(&["run"]);
    run.env("T0RN_AGENT_LOG", "a=loud");
    let with = finish(&mut run).err;
    assert!(
        with.starts_with("20") && with.contains("log level not understood"),
        "{with}"
    );
    let without = finish(run.env("JOURNAL_STREAM", "8:1")).err;
    assert!(without.trim_start().starts_with("WARN"), "{without}");
}

#[test]
fn warning_of_a_command_is_for_a_reader() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.config(), "broken").unwrap();
    let done = finish(&mut sandbox.command(&["status"]));
    assert!(
        done.err.trim_start().starts_with("WARN configuration not usable"),
        "{done:?}"
    );
}
