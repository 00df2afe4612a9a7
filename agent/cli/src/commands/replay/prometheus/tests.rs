#![expect(clippy::unwrap_used, reason = "a failed test may panic")]
#![expect(
    clippy::unnecessary_wraps,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fake server's answers share one form, and its times are whole seconds"
)]

mod exporters;
mod fake;
mod server;

use std::sync::{Arc, LazyLock, Mutex};

use fake::{Exporter, ScrapeResult, World};

use super::*;

const PARACHAIN: Exporter = Exporter {
    prefix: "substrate",
    instance: "10.0.0.5:7001",
    job: "collators",
    chain: "t0rn",
    is_relay: false,
};
const RELAYCHAIN: Exporter = Exporter {
    instance: "10.0.0.5:9616",
    chain: "rococo",
    is_relay: true,
    ..PARACHAIN
};

fn query(address: std::net::SocketAddr) -> HistoryQuery {
    HistoryQuery {
        from_prometheus: Some(format!("http://{address}").parse().unwrap()),
        since: Duration::from_hours(2),
        step: Duration::from_secs(15),
        selector: None,
        instance: None,
        parachain: None,
        relaychain: None,
    }
}

fn client(query: &HistoryQuery) -> PrometheusClient {
    PrometheusClient::new(query.from_prometheus.as_ref().unwrap())
        .unwrap()
        .hurried(Duration::from_secs(20))
}

/// When the servers began to scrape, Unix seconds: two hours ago.
static BEGAN: LazyLock<u64> =
    LazyLock::new(|| (SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() - 7200) / 120 * 120);

/// A server that scraped one collator every so many seconds; `scrape` is told the seconds since it began, and
/// whether it is about the relay chain.
fn world(every: usize, scrape: impl Fn(u64, bool) -> Option<ScrapeResult>) -> World {
    let scrapes = |is_relay| {
        let since = (0..7320).step_by(every);
        since.filter_map(|s| Some((*BEGAN + s, scrape(s, is_relay)?))).collect()
    };
    World {
        exporters: vec![PARACHAIN, RELAYCHAIN],
        scrapes: vec![scrapes(false), scrapes(true)],
        has_up: true,
        asked: Arc::default(),
    }
}

/// What is printed for programs, what is told beside it, and the sums.
async fn replayed(query: &HistoryQuery) -> anyhow::Result<(String, String, ReplaySummary)> {
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let timeline = Timeline::new(&mut out, true);
    let summary = replay(&mut client(query), query, None, timeline, &mut notes).await?;
    Ok((
        String::from_utf8(out).unwrap(),
        String::from_utf8(notes).unwrap(),
        summary,
    ))
}

/// The parachain syncs, the relay chain follows its tip.
fn moving(since: u64, is_relay: bool) -> ScrapeResult {
    let best = 1000 + since;
    ScrapeResult::Page(best, if is_relay { best } else { 100_000 })
}

/// The parachain stands still from the thirtieth minute to the fiftieth.
fn stalling(since: u64, is_relay: bool) -> ScrapeResult {
    match since {
        1800..3000 if !is_relay => moving(1800, false),
        _ => moving(since, is_relay),
    }
}

/// Neither exporter answers for five minutes.
fn down_for_a_while(since: u64, is_relay: bool) -> Option<ScrapeResult> {
    Some(match since {
        1800..2100 => ScrapeResult::Failed,
        _ => moving(since, is_relay),
    })
}

fn actions(out: &str) -> Vec<(String, String)> {
    let lines = out
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
    let word = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
    lines
        .filter(|l| l["action"] == "restart")
        .map(|l| (word(&l["action"]), word(&l["cause"])))
        .collect()
}

fn restart(cause: &str) -> Vec<(String, String)> {
    vec![("restart".to_owned(), cause.to_owned())]
}

#[tokio::test]
async fn stall_is_found_at_any_scrape_interval() {
    for every in [5, 15, 60, 120] {
        let address = world(every, |since, is_relay| Some(stalling(since, is_relay)))
            .serve()
            .await;
        let (out, notes, summary) = replayed(&query(address)).await.unwrap();
        assert_eq!(actions(&out)[..1], restart("stalled"), "{every}: {out}{notes}");
        let looks = 2 * 7200 / every.max(15) as u64;
        assert!(
            (looks - 10..looks + 10).contains(&summary.lines),
            "{every}: {}",
            summary.lines
        );
    }
    let address = world(15, |since, is_relay| Some(moving(since, is_relay))).serve().await;
    assert_eq!(actions(&replayed(&query(address)).await.unwrap().0), []);
}

#[tokio::test]
async fn stall_is_found_with_steps_wider_than_scrapes() {
    let address = world(15, |since, is_relay| Some(stalling(since, is_relay)))
        .serve()
        .await;
    let query = HistoryQuery {
        step: Duration::from_mins(1),
        ..query(address)
    };
    let (out, _, summary) = replayed(&query).await.unwrap();
    assert_eq!(actions(&out)[..1], restart("stalled"), "{out}");
    assert!(summary.lines < 2 * 125, "{}", summary.lines);
}

#[tokio::test]
async fn both_exporters_down_restart_as_frozen() {
    let address = world(15, down_for_a_while).serve().await;
    assert_eq!(actions(&replayed(&query(address)).await.unwrap().0), restart("frozen"));

    let one = |since, is_relay| {
        let down = is_relay && (1800..2100).contains(&since);
        Some(if down {
            ScrapeResult::Failed
        } else {
            moving(since, is_relay)
        })
    };
    let address = world(15, one).serve().await;
    assert_eq!(actions(&replayed(&query(address)).await.unwrap().0), []);
}

#[tokio::test]
async fn time_without_scrapes_is_a_gap_despite_repeated_samples() {
    // It stands still for 200 s; with what the server repeats, for 500 s.
    let away = |since, is_relay| match since {
        1600..1800 => Some(moving(1600, is_relay)),
        1800..3600 => None,
        _ => Some(moving(since, is_relay)),
    };
    let address = world(15, away).serve().await;
    let (out, notes, _) = replayed(&query(address)).await.unwrap();
    assert_eq!(actions(&out), [], "{out}");
    assert!(notes.contains("gaps without any scrape: 1, 30m15s in all"), "{notes}");
}

#[tokio::test]
async fn without_up_failed_scrapes_are_gaps_with_a_note() {
    let world = World {
        has_up: false,
        ..world(15, down_for_a_while)
    };
    let (out, notes, _) = replayed(&query(world.serve().await)).await.unwrap();
    assert_eq!(actions(&out), []);
    assert!(
        notes.contains("there is no `up` for it") && notes.contains("gaps without any scrape: 1"),
        "{notes}"
    );
}

#[tokio::test]
async fn each_scrape_is_one_event_at_its_own_time() {
    let scrapes = |since, is_relay| match since {
        60..90 => Some(ScrapeResult::Failed),
        90..120 => None,
        120..150 => Some(ScrapeResult::Foreign),
        _ => Some(moving(since, is_relay)),
    };
    let query = query(world(30, scrapes).serve().await);
    let mut client = client(&query);
    let mut search = ExporterSearch {
        client: &mut client,
        query: &query,
        configured: &Config::parse(agent_config::DEFAULT, "default").unwrap().chains,
        from: 0,
        to: 1,
    };
    let exporter = &search.find_pair().await.unwrap()[&Chain::Parachain];
    // Steps of 10 s that fall beside the scrapes.
    let steps = Steps {
        from: (*BEGAN + 3) * 1000,
        count: 17,
        step: 10_000,
    };
    let scrapes = read_scrapes(&mut client, Chain::Parachain, exporter, steps, 0)
        .await
        .unwrap();
    let found: Vec<_> = scrapes
        .iter()
        .map(|scrape| {
            let word = match &scrape.event {
                Event::Sample { sample, .. } => format!("{:?} {:?}", sample.best, sample.peers),
                Event::ScrapeFailed { error, .. } => format!("{error:?}"),
                other => format!("{other:?}"),
            };
            (scrape.at / 1000 - *BEGAN, word)
        })
        .collect();
    let expected = [
        (0, "Some(1000) Some(8)"),
        (30, "Some(1030) Some(8)"),
        (60, "Refused"),
        (120, "MetricMissing"),
        (150, "Some(1150) Some(8)"),
    ];
    assert_eq!(found, expected.map(|(at, word)| (at, word.to_owned())));
    let after = scrapes[2].at;
    let later = read_scrapes(&mut client, Chain::Parachain, exporter, steps, after)
        .await
        .unwrap();
    assert_eq!(later, scrapes[3..]);
}

#[tokio::test]
async fn long_range_is_read_in_adjacent_chunks() {
    let world = world(15, |since, is_relay| Some(moving(since, is_relay)));
    let asked = Arc::clone(&world.asked);
    let query = HistoryQuery {
        since: Duration::from_hours(2),
        step: Duration::from_secs(1),
        ..query(world.serve().await)
    };
    replayed(&query).await.unwrap();
    let mut asked = Mutex::lock(&asked).unwrap().clone();
    asked.dedup();
    assert!(
        asked.iter().all(|(first, last, step)| (last - first) / step < 2000.0),
        "{asked:?}"
    );
    let chunks: std::collections::BTreeSet<_> = asked.iter().map(|(f, l, _)| (*f as u64, *l as u64)).collect();
    assert_eq!(chunks.len(), 4, "{chunks:?}");
    let mut next = chunks.first().unwrap().0;
    for (first, last) in chunks {
        assert_eq!(first, next);
        next = last + 1;
    }
}

#[tokio::test]
async fn rare_scrapes_are_reported_with_remedy() {
    let rarer = |since: u64, is_relay| (since < 3600 || since.is_multiple_of(120)).then(|| moving(since, is_relay));
    let query = HistoryQuery {
        step: Duration::from_secs(1),
        ..query(world(10, rarer).serve().await)
    };
    let (_, notes, _) = replayed(&query).await.unwrap();
    assert!(notes.contains("repeat with --step 2m"), "{notes}");
}

#[tokio::test]
async fn text_has_the_wall_clock() {
    let query = query(world(15, |since, is_relay| Some(moving(since, is_relay))).serve().await);
    let mut out = Vec::new();
    let timeline = Timeline::new(&mut out, false);
    replay(&mut client(&query), &query, None, timeline, &mut Vec::new())
        .await
        .unwrap();
    let today = jiff::Timestamp::now().strftime("%Y-").to_string();
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with(&today) && out.contains("Z  syncing"), "{out}");
}

#[tokio::test]
async fn exporters_with_equal_target_labels_are_kept_apart() {
    let one_name = |exporter| Exporter {
        instance: "c",
        ..exporter
    };
    let world = World {
        exporters: vec![one_name(RELAYCHAIN), one_name(PARACHAIN)],
        ..world(15, |since, is_first| Some(stalling(since, !is_first)))
    };
    let (out, notes, _) = replayed(&query(world.serve().await)).await.unwrap();
    assert_eq!(actions(&out)[..1], restart("stalled"), "{out}{notes}");
}
