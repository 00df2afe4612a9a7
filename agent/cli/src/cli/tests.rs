#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use clap::CommandFactory;

use super::*;

fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from([&["t0rn-agent"], words].concat())
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_explains_itself_with_an_example() {
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
fn a_pause_takes_a_time_with_a_unit_within_bounds() {
    let seconds = |text| pause_time(text).map(|t| t.as_secs()).ok();
    assert_eq!(
        ["90s", "45m", "1h30m", "2h", "2d", "30d"].map(seconds),
        [90, 2_700, 5_400, 7_200, 172_800, 2_592_000].map(Some)
    );
    assert_eq!(
        [
            "",
            "2",
            "0s",
            "-2h",
            "31d",
            "2y",
            "soon",
            "500ms",
            "99999999999999999999h"
        ]
        .map(seconds),
        [None; 9]
    );
}

#[test]
fn a_pause_needs_a_reason() {
    for words in [
        &["pause", "--for", "2h"][..],
        &["pause", "--for", "2h", "--reason", " "],
    ] {
        assert_eq!(parse(words).unwrap_err().exit_code(), 2);
    }
    let long = "x".repeat(REASON_MAX + 1);
    assert!(parse(&["restart", "--reason", &long]).is_err());
    assert!(parse(&["restart", "--reason", &long[1..]]).is_ok());
}

#[test]
fn options_are_understood_before_and_behind_the_command() {
    for words in [
        &["--socket", "/s", "status", "--json"][..],
        &["status", "--json", "--socket", "/s"],
    ] {
        assert_eq!(parse(words).unwrap().client().socket(), Path::new("/s"));
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

#[test]
fn an_empty_variable_names_no_file() {
    assert_eq!(given(Some(&PathBuf::new())), None);
    assert_eq!(given(Some(&PathBuf::from("x"))), Some(Path::new("x")));
}

#[test]
fn errors_have_the_exit_codes_of_the_contract() {
    let missing = PathBuf::from("/x");
    let config = Config::parse("", "test").unwrap_err();
    for (error, code) in [
        (anyhow::Error::new(Closed), 0),
        (anyhow::anyhow!("anything"), 1),
        (ClientError::Refused("no".into()).into(), 1),
        (anyhow::Error::new(config).context("outer"), 2),
        (anyhow::Error::new(ClientError::Missing(missing)).context("outer"), 3),
    ] {
        assert_eq!(exit_code(&error), code, "{error:#}");
    }
}
