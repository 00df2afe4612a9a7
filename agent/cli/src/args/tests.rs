#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;

use clap::CommandFactory;

use super::*;

fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from([&["t0rn-agent"], words].concat())
}

#[test]
fn command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn help_of_every_command_has_an_example() {
    let mut cli = Cli::command().term_width(100);
    let mut helps = vec![cli.render_help().to_string()];
    cli.build();
    for command in cli.get_subcommands_mut().filter(|c| c.get_name() != "help") {
        let help = command.render_help().to_string();
        assert!(help.contains("  t0rn-agent "), "no example: {help}");
        helps.push(format!("==== {} ====\n{help}", command.get_name()));
    }
    insta::assert_snapshot!(helps.join("\n"));
}

#[test]
fn pause_without_reason_is_a_usage_error() {
    for words in [
        &["pause", "--for", "2h"][..],
        &["pause", "--for", "2h", "--reason", " "],
    ] {
        assert_eq!(parse(words).unwrap_err().exit_code(), 2);
    }
}

#[test]
fn options_are_parsed_before_and_after_the_command() {
    for words in [
        &["--socket", "/s", "status", "--json"][..],
        &["status", "--json", "--socket", "/s"],
    ] {
        assert_eq!(parse(words).unwrap().globals.client().socket(), Path::new("/s"));
    }
    for words in [
        &["incidents"][..],
        &["incidents", "--json"],
        &["incidents", "--config", "c", "list"],
        &["incidents", "list", "--json"],
        &["incidents", "show", "x", "--json"],
        &["logs", "-f", "-n", "0"],
    ] {
        parse(words).unwrap();
    }
}
