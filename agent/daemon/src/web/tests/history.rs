//! What the page shows of the past, and how much of it is transferred.

use agent_core::event::{Chain, DesiredSpec, Event, Reading, Sample};
use agent_core::history::HistoryRange;
use agent_core::machine::{Action, Cause};
use serde_json::Value;

use super::page::{request, web};
use super::*;
use crate::recorder::incident::{self, IncidentBundle};

/// Most that the page may transfer with 7 days of history, bytes.
const TRANSFER_MAX: usize = 100_000;

/// The status and the body of an answer.
async fn get(web: &Web, path: &str) -> (u16, String) {
    let answer = web.ask(&request("GET", path, "localhost")).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

async fn document(web: &Web, path: &str) -> Value {
    let (code, body) = get(web, path).await;
    assert_eq!(code, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn sample(chain: Chain, best: u64, target: u64) -> Event {
    let sample = Sample {
        best: Some(best),
        target: Some(target),
        major_syncing: Some(best < target),
        ..Sample::default()
    };
    Event::Sample { chain, sample }
}

fn incident(number: u32) -> IncidentBundle {
    IncidentBundle {
        id: format!("20261122T2250{number:02}Z-stalled"),
        cause: "stalled".to_owned(),
        action: "restart".to_owned(),
        evidence: vec!["parachain best 1000 for 5m".repeat(10)],
        log: vec!["<b>\u{1b}[31mline\u{1b}[0m --node-key=0123456789abcdef".to_owned()],
        ..IncidentBundle::default()
    }
}

#[tokio::test]
async fn history_returns_the_recorded_samples_of_each_range() {
    let web = web().await;
    web.history.event(&sample(Chain::Relaychain, 41, 42));
    let cause = Cause::Frozen;
    web.history.action(&Action::Restart {
        cause,
        spec: DesiredSpec::default(),
    });
    web.history.action(&Action::Judged { cause, helped: true });
    for (path, slots) in [
        ("/history", 480),
        ("/history?range=day", 480),
        ("/history?range=week", 336),
    ] {
        let history = document(&web, path).await;
        assert_eq!(history["slots"], slots, "{path}");
        let best = history["chains"]["relaychain"]["best"].as_array().unwrap();
        assert_eq!((best.len(), best.last().unwrap().as_u64()), (slots, Some(41)), "{path}");
        assert!(history["chains"]["parachain"].is_null(), "{path}");
        assert_eq!(history["marks"][0]["cause"], "frozen", "{path}");
        assert_eq!(history["marks"][0]["helped"], true, "{path}");
    }
    assert_eq!(get(&web, "/history?range=year").await.0, 400);
}

#[tokio::test]
async fn incidents_are_listed_and_one_is_shown_with_its_last_lines() {
    let web = web().await;
    assert_eq!(document(&web, "/incidents").await, serde_json::json!([]));
    incident::write(web.incidents.path(), &incident(1)).unwrap();
    incident::write(web.incidents.path(), &incident(2)).unwrap();
    let list = document(&web, "/incidents").await;
    assert_eq!(list[0]["id"], "20261122T225002Z-stalled");
    assert_eq!(list[1]["cause"], "stalled");
    assert!(list[0]["evidence"].is_null(), "{list}");

    let shown = document(&web, "/incidents/20261122T225001Z-stalled").await;
    assert_eq!(shown["action"], "restart");
    assert_eq!(shown["evidence"].as_array().unwrap().len(), 1);
    assert_eq!(shown["log"], serde_json::json!(["<b>line --node-key=[redacted]"]));

    fs::write(web.incidents.path().join("secret"), "{}").unwrap();
    for id in ["nothing", "..", "%2e%2e", "%2e%2e%2fsecret", "secret", "a%00b"] {
        let (code, body) = get(&web, &format!("/incidents/{id}")).await;
        assert!(code == 404 && body.lines().count() == 1, "{id}: {code} {body}");
    }
}

#[tokio::test]
async fn page_with_a_week_of_everything_transfers_less_than_its_limit() {
    let web = web().await;
    let until = wall::unix_ms();
    for minutes in (0..7 * 24 * 60_u32).rev() {
        let (at, height) = (
            until - i64::from(minutes) * 60_000,
            u64::from(7 * 24 * 60 - minutes) * 5,
        );
        let mut history = web.history.lock();
        for (chain, first) in [(Chain::Parachain, 7_000_000), (Chain::Relaychain, 25_000_000)] {
            let best = first + height;
            history.event(at, &sample(chain, best, best + height % 7));
            let reading = Ok(Reading {
                best: Some(best + height % 3),
                ..Reading::default()
            });
            history.event(
                at,
                &Event::Reference {
                    chain,
                    source: 0,
                    reading,
                },
            );
        }
        if minutes % 60 == 0 {
            history.action(at, "restart", "finality_stalled", None);
            history.event(at, &Event::Ec2(None));
        }
    }
    for number in 0..50 {
        incident::write(web.incidents.path(), &incident(number)).unwrap();
    }
    let mut transferred = vec![("/events", agent_core::status::MAX_CHARS)];
    for path in ["/", "/history?range=day", "/history?range=week", "/incidents"] {
        transferred.push((path, web.ask(&request("GET", path, "localhost")).await.len()));
    }
    let view = web.history.view(HistoryRange::Week);
    assert_eq!((view.marks.len(), view.chains.len()), (128, 2));
    let total: usize = transferred.iter().map(|(_, bytes)| bytes).sum();
    assert!(total < TRANSFER_MAX, "{total}: {transferred:?}");
}
