#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use strum::VariantArray as _;

mod configuration;
mod evidence;

use super::*;
use crate::event::*;
use crate::event::{Chain, NoticeKind};

fn parse(text: &str) -> Result<Event, String> {
    match parse_line(text.as_bytes()) {
        Ok((_, Record::Event(event))) => Ok(event),
        Ok((_, other)) => Err(format!("{other:?}")),
        Err(e) => Err(e.to_string()),
    }
}

#[test]
fn the_documented_lines_are_read() {
    let sample = parse(
        r#"{"t": 1.0, "event": "sample", "chain": "parachain", "best": 1, "finalized": 0, "target": 9, "peers": 3,
        "major_syncing": true, "queued_blocks": 0, "imported_total": 1, "bytes_in": 1234, "process_start": 1795388136}"#,
    );
    let Ok(Event::Sample {
        chain: Chain::Parachain,
        sample,
    }) = sample
    else {
        panic!("{sample:?}")
    };
    assert_eq!(
        (sample.best, sample.target, sample.major_syncing),
        (Some(1), Some(9), Some(true))
    );
    assert_eq!(
        parse(
            r#"{"t": 3.0, "event": "container", "state": "exited", "exit_code": 137, "oom": false, "log": ["last"]}"#
        ),
        Ok(Event::Container(Container::Exited {
            at: None,
            exit: Exit {
                code: Some(137),
                oom: false,
                log: vec!["last".into()]
            },
            spec_matches: true
        }))
    );
    assert_eq!(
        parse(r#"{"t": 0, "event": "container", "state": "running"}"#),
        Ok(Event::Container(Container::Running {
            started_at: None,
            spec_matches: true
        }))
    );
    assert_eq!(
        parse(r#"{"t": 6, "event": "docker", "state": "unreachable"}"#),
        Ok(Event::Docker { reachable: false })
    );
    assert_eq!(parse(r#"{"event": "gap", "t": 7e0}"#), Ok(Event::Gap));
}

#[test]
fn time_is_taken_to_the_millisecond() {
    let at = |t: &str| parse_line(format!(r#"{{"t": {t}, "event": "gap"}}"#).as_bytes()).map(|(time, _)| time.0);
    assert_eq!(at("3998.26").unwrap(), 3_998_260);
    assert_eq!(at("1795388136.0005").unwrap(), 1_795_388_136_001);
    assert_eq!(at("0").unwrap(), 0);
    assert!(at("-1").is_err() && at("1e300").is_err() && at("null").is_err());
}

#[test]
fn floats_nulls_absent_and_unknown_fields_are_tolerated() {
    let event = parse(
        r#"{"t":1,"event":"sample","chain":"relaychain","best":1e6,"target":12.5,"peers":null,"note":{"a":[1,{}]},"bytes_in":9.0}"#,
    );
    let Ok(Event::Sample { sample, .. }) = event else {
        panic!("{event:?}")
    };
    assert_eq!(
        sample,
        Sample {
            best: Some(1_000_000),
            target: Some(12),
            bytes_in: Some(9),
            ..Sample::default()
        }
    );
}

#[test]
fn other_tools_words_for_the_same_are_understood() {
    let same = |words: &[&str], line: &str| {
        let meanings: Vec<_> = words.iter().map(|word| parse(&line.replace('@', word))).collect();
        assert!(
            meanings.iter().all(|m| m.is_ok() && *m == meanings[0]),
            "{words:?}: {meanings:?}"
        );
    };
    same(
        &["true", "1", "1.0"],
        r#"{"t":1,"event":"sample","chain":"parachain","major_syncing":@}"#,
    );
    same(
        &[r#"["a","b"]"#, r#""a\nb""#],
        r#"{"t":1,"event":"container","state":"exited","log":@}"#,
    );
    same(
        &["exited", "dead", "killed"],
        r#"{"t":1,"event":"container","state":"@"}"#,
    );
    same(
        &["reachable", "ok", "up", "running"],
        r#"{"t":1,"event":"docker","state":"@"}"#,
    );
    same(
        &["\"http_status\"", "\"HTTP 503\"", "\"status 500\""],
        r#"{"t":1,"event":"scrape_failed","chain":"parachain","error":@}"#,
    );
    same(
        &["\"unreachable\"", "\"no route to host\"", "null"],
        r#"{"t":1,"event":"scrape_failed","chain":"parachain","error":@}"#,
    );
}

#[test]
fn an_unknown_scrape_error_is_unreachable() {
    let error = |word| {
        parse(&format!(
            r#"{{"t":1,"event":"scrape_failed","chain":"parachain","error":"{word}"}}"#
        ))
    };
    let chain = Chain::Parachain;
    assert_eq!(
        error("timeout"),
        Ok(Event::ScrapeFailed {
            chain,
            error: ScrapeError::Timeout
        })
    );
    assert_eq!(
        error("dns"),
        Ok(Event::ScrapeFailed {
            chain,
            error: ScrapeError::Unreachable
        })
    );
}

#[test]
fn what_is_wrong_is_named() {
    for (text, reason) in [
        ("{", "EOF while parsing an object (column 1)"),
        (r#"{"t":1}"#, "missing field `event` (column 7)"),
        (
            r#"{"t":-1,"event":"gap"}"#,
            "`t` is -1, expected seconds from 0 to 100000000000",
        ),
        (r#"{"t":1,"event":"container"}"#, "a container event needs `state`"),
        (
            r#"{"t":1,"event":"container","state":"unreachable"}"#,
            "a container event needs the `state` of a container, not of docker",
        ),
        (
            r#"{"t":1,"event":"docker"}"#,
            "a docker event needs `state`: reachable or unreachable",
        ),
        (r#"{"t":1,"event":"sample","best":1}"#, "a sample event needs `chain`"),
        (
            r#"{"t":1,"event":"sample","chain":"parachain","best":-1}"#,
            "-1 is out of range (column 53)",
        ),
        (
            r#"{"t":1,"event":"sample","chain":"parachain","best":"1"}"#,
            "invalid type: string \"1\", expected a whole number or null (column 54)",
        ),
        (
            r#"{"t":1,"event":"gap"} {"t":2,"event":"gap"}"#,
            "trailing characters (column 23)",
        ),
    ] {
        assert_eq!(parse(text), Err(reason.to_owned()), "{text}");
    }
    for (text, begin) in [
        ("[]", "invalid length 0, expected struct TraceLine with "),
        (
            r#"{"t":1,"event":"reboot"}"#,
            "unknown variant `reboot`, expected one of",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.starts_with(begin), "{error}");
    }
}

#[test]
fn annotations_come_back_as_such_and_ticks_leave_no_line() {
    let mut out = Vec::new();
    write_clock(&mut out, Time(1500), 1_795_388_136_123).unwrap();
    assert_eq!(out, b"{\"t\":1.5,\"event\":\"clock\",\"unix_ms\":1795388136123}\n");
    assert_eq!(
        parse_line(&out).unwrap(),
        (
            Time(1500),
            Record::Clock {
                unix_ms: 1_795_388_136_123
            }
        )
    );
    out.clear();
    for (action, helped) in [("restart", None), ("judged", Some(true)), ("judged", Some(false))] {
        write_action(&mut out, Time(2), action, "stalled", helped).unwrap();
        let action = Record::Action {
            action: action.into(),
            cause: "stalled".into(),
            helped,
        };
        assert_eq!(parse_line(&out).unwrap(), (Time(2), action));
        out.clear();
    }
    out.clear();
    write_line(&mut out, Time(2), &Event::Tick).unwrap();
    assert!(out.is_empty());
}

proptest! {
    #[test]
    fn every_event_survives_writing_and_reading(ms in 0..100_000_000_000_000_u64, event in event()) {
        let mut out = Vec::new();
        write_line(&mut out, Time(ms), &event).unwrap();
        prop_assert_eq!(String::from_utf8_lossy(&out).lines().count(), 1);
        prop_assert_eq!(parse_line(&out).unwrap(), (Time(ms), Record::Event(event)));
    }

    #[test]
    fn no_line_makes_it_panic(bytes in vec(any::<u8>(), 0..200), text in r#"\{"t":[0-9e.+-]{0,9},"event":"[a-z_]{0,9}".{0,40}"#) {
        drop(parse_line(&bytes));
        drop(parse_line(text.as_bytes()));
    }
}

/// Eighths are written and read exactly; what a float loses on the way is not at issue.
fn number() -> impl Strategy<Value = Option<f64>> {
    of((-80_000..80_000_i32).prop_map(|n| f64::from(n) / 8.0))
}

fn own_host() -> impl Strategy<Value = Event> {
    prop_oneof![
        prop::option::of(any::<String>()).prop_map(Event::StateUnsaved),
        any::<String>().prop_map(Event::StateSetAside),
        prop::option::of(any::<String>()).prop_map(Event::RecordsUnsaved),
        prop::option::of(any::<String>()).prop_map(Event::ConfigurationRefused),
        prop::sample::subsequence(crate::event::Disk::VARIANTS, 0..=3).prop_map(Event::DisksStalled),
        any::<i64>().prop_map(|by_ms| Event::ClockStepped { by_ms }),
        configuration::event(),
    ]
}

fn container_event() -> impl Strategy<Value = Container> {
    let exit = (any::<Option<i64>>(), any::<bool>(), vec(any::<String>(), 0..3)).prop_map(|(code, oom, log)| Exit {
        code,
        oom,
        log,
    });
    prop_oneof![
        Just(Container::Missing),
        Just(Container::Foreign),
        Just(Container::Restarting),
        any::<bool>().prop_map(|spec_matches| Container::Created { spec_matches }),
        any::<(Option<i64>, bool)>().prop_map(|(started_at, spec_matches)| Container::Running {
            started_at,
            spec_matches
        }),
        any::<(Option<i64>, bool)>().prop_map(|(started_at, spec_matches)| Container::Paused {
            started_at,
            spec_matches
        }),
        (any::<Option<i64>>(), exit, any::<bool>())
            .prop_map(|(at, exit, spec_matches)| { Container::Exited { at, exit, spec_matches } }),
        any::<(Option<i64>, i64)>().prop_map(|(at, signal)| Container::Signalled { at, signal }),
        any::<Option<i64>>().prop_map(|at| Container::Stopped { at }),
        any::<Option<i64>>().prop_map(|at| Container::Removed { at }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let chain = || prop::sample::select(Chain::VARIANTS.to_vec());
    let sample = (
        any::<(Option<u64>, Option<u64>, Option<u64>, Option<u64>, Option<bool>)>(),
        any::<(Option<u64>, Option<u64>, Option<u64>, Option<u64>)>(),
    )
        .prop_map(
            |(
                (best, finalized, target, peers, major_syncing),
                (imported_total, bytes_in, built_total, process_start),
            )| {
                Sample {
                    best,
                    finalized,
                    target,
                    peers,
                    major_syncing,
                    imported_total,
                    bytes_in,
                    built_total,
                    process_start,
                }
            },
        );
    let error = prop::sample::select(vec![
        ScrapeError::Refused,
        ScrapeError::Timeout,
        ScrapeError::Unreachable,
        ScrapeError::HttpStatus,
        ScrapeError::TooLarge,
        ScrapeError::Unparsable,
        ScrapeError::MetricMissing,
    ]);
    let kind = prop::sample::select(vec![
        ActionFailure::DockerUnreachable,
        ActionFailure::Foreign,
        ActionFailure::Image,
        ActionFailure::Executable,
        ActionFailure::Other,
    ]);
    prop_oneof![
        container_event().prop_map(Event::Container),
        (chain(), sample).prop_map(|(chain, sample)| Event::Sample { chain, sample }),
        (chain(), error).prop_map(|(chain, error)| Event::ScrapeFailed { chain, error }),
        (
            any::<(Option<u64>, Option<u64>, Option<u64>, Option<bool>)>(),
            number(),
            number()
        )
            .prop_map(
                |((disk_free_bytes, disk_total_bytes, memory_available_bytes, network_ok), load1, clock_offset_ms)| {
                    let sizes = (disk_free_bytes, disk_total_bytes, memory_available_bytes);
                    let (disk_free_bytes, disk_total_bytes, memory_available_bytes) = sizes;
                    Event::Host(HostFacts {
                        disk_free_bytes,
                        disk_total_bytes,
                        memory_available_bytes,
                        memory_full_percent: load1,
                        io_full_percent: load1,
                        load1,
                        network_ok,
                        clock_offset_ms,
                    })
                }
            ),
        (number(), any::<[Option<u64>; 2]>()).prop_map(|(cpu_percent, [block_read_bytes, block_write_bytes])| {
            Event::Activity(Activity {
                cpu_percent,
                block_read_bytes,
                block_write_bytes,
            })
        }),
        evidence::evidence(),
        prop::option::of(prop::sample::select(crate::event::Conflict::VARIANTS)).prop_map(Event::Certificate),
        (prop::sample::select(crate::event::Holding::VARIANTS), "[a-z ]{0,20}")
            .prop_map(|(holding, why)| { Event::Identity(crate::event::Identity { holding, why }) }),
        Just(Event::Ec2(None)),
        own_host(),
        (
            prop::sample::select(NoticeKind::VARIANTS.to_vec()),
            any::<Option<u64>>()
        )
            .prop_map(|(kind, seconds)| Event::Ec2(Some(Notice { kind, seconds }))),
        Just(Event::Gap),
        any::<String>().prop_map(|reason| Event::Operator(Command::Restart { reason })),
        any::<(u64, String)>().prop_map(|(seconds, reason)| Event::Operator(Command::Pause { seconds, reason })),
        any::<bool>().prop_map(|automatic| Event::Operator(Command::Stop { automatic })),
        any::<bool>().prop_map(|automatic| Event::Operator(Command::Start { automatic })),
        Just(Event::Operator(Command::Resume)),
        any::<(String, bool)>().prop_map(|(image, automatic)| Event::Operator(Command::Update { image, automatic })),
        any::<[String; 4]>().prop_map(|[a, b, c, d]| {
            let image = |reference, pin| crate::event::Image { reference, pin };
            let (from, to) = (image(a, b), image(c, d));
            Event::Pulled(Ok(crate::event::Images { from, to }))
        }),
        any::<String>().prop_map(|error| Event::Pulled(Err(PullError(error)))),
        any::<std::collections::BTreeMap<String, String>>().prop_map(Event::Databases),
        (container_event(), any::<Option<i64>>())
            .prop_map(|(container, at)| Event::Finished(Outcome::Done { container, at })),
        (any::<String>(), kind).prop_map(|(error, kind)| Event::Finished(Outcome::Failed { error, kind })),
    ]
}
