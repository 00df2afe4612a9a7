//! A recording against the core that made it.

use std::time::Duration;

use strum::VariantArray as _;

use agent_core::event::{Chain, Container, Event, Exit, Outcome, Sample, Time};
use agent_daemon::recorder::{Recorder, RecorderLimits};
use tempfile::tempdir;

use agent_core::event::ScrapeError;
use agent_core::machine::{Machine, Policy};

const WAIT: Duration = Duration::from_secs(20);

fn sample(chain: Chain, n: u64) -> Event {
    Event::Sample {
        chain,
        sample: Sample {
            best: Some(1_000_000 + n / 2),
            finalized: Some(999_990 + n / 2 - n % 7),
            target: Some(1_000_003 + n / 2),
            peers: Some(12 + n % 5),
            major_syncing: Some(n.is_multiple_of(97)),
            imported_total: Some(12_345 + n / 2),
            process_start: Some(1_795_388_136),
            ..Sample::default()
        },
    }
}

/// The core as the agent runs it: ticks come late, an action takes a while, and Docker tells of it meanwhile.
struct Live {
    machine: Machine,
    recorder: Recorder,
    now: Time,
    /// When the action in flight ends.
    ends: Option<Time>,
    acted: Vec<(Time, &'static str)>,
}

/// Docker's wall clock at agent time 0, Unix milliseconds.
const WALL: i64 = 1_795_388_136_000;

impl Live {
    fn event(&mut self, at: Time, event: &Event) {
        loop {
            let ends = self.ends.filter(|ends| *ends <= at);
            let due = self
                .machine
                .next_deadline()
                .map(|due| due.max(self.now) + Duration::from_millis(3));
            match (ends, due.filter(|due| *due <= at)) {
                (Some(ends), due) if due.is_none_or(|due| ends <= due) => self.finish(ends),
                (_, Some(due)) => self.step(due, &Event::Tick),
                _ => break,
            }
        }
        self.step(at, event);
    }

    fn finish(&mut self, at: Time) {
        self.ends = None;
        let wall = WALL + i64::try_from(at.0).unwrap();
        let exited = Event::Container(Container::Exited {
            at: Some(wall - 900),
            exit: Exit {
                code: Some(137),
                ..Exit::default()
            },
            spec_matches: true,
        });
        self.step(
            at,
            &Event::Container(Container::Signalled {
                at: Some(wall - 1000),
                signal: 15,
            }),
        );
        self.step(at, &exited);
        let container = Container::Running {
            started_at: Some(wall - 500),
            spec_matches: true,
        };
        self.step(
            at,
            &Event::Finished(Outcome::Done {
                container: container.clone(),
                at: Some(wall),
            }),
        );
        self.step(at, &Event::Container(Container::Stopped { at: Some(wall - 800) }));
        self.step(at, &Event::Container(container));
    }

    fn step(&mut self, now: Time, event: &Event) {
        self.now = now;
        self.recorder.event(now, event);
        for action in self.machine.step(now, event.clone()) {
            self.recorder.action(now, &action);
            if ["start", "restart", "stop", "hold", "backoff"].contains(&action.kind()) {
                self.acted.push((now, action.kind()));
                self.ends = Some(now + Duration::from_secs(40));
            }
        }
    }
}

#[tokio::test]
async fn recording_replays_to_the_same_decisions() {
    let dir = tempdir().unwrap();
    let limits = RecorderLimits {
        total: 64 << 20,
        file: 20_000,
        retry: Duration::ZERO,
        ..RecorderLimits::default()
    };
    let recorder = Recorder::open(dir.path(), limits);
    let machine = Machine::new(Policy::default(), Time(0));
    let mut live = Live {
        machine,
        recorder,
        now: Time(0),
        ends: None,
        acted: Vec::new(),
    };
    live.event(Time(0), &Event::Docker { reachable: true });
    live.event(
        Time(0),
        &Event::Container(Container::Running {
            started_at: Some(WALL - 1000),
            spec_matches: true,
        }),
    );
    for n in 1..1200 {
        let at = Time(n * 5000);
        // Silence for a third of the time.
        for &chain in Chain::VARIANTS {
            let silence = Event::ScrapeFailed {
                chain,
                error: ScrapeError::Timeout,
            };
            live.event(at, &if n % 300 < 200 { sample(chain, n * 40) } else { silence });
        }
        assert!(n % 50 != 0 || live.recorder.flush(WAIT).await);
    }
    assert!(live.recorder.flush(WAIT).await);
    assert!(live.acted.len() >= 3, "{:?}", live.acted);

    let mut out = Vec::new();
    super::super::replay_trace(dir.path(), None, true, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let replayed: Vec<(f64, String)> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter_map(|line| Some((line["t"].as_f64()?, line["action"].as_str()?.to_owned())))
        .filter(|(_, action)| action != "notify")
        .collect();
    assert_eq!(replayed.len(), live.acted.len(), "{:?}\n{text}", live.acted);
    for ((at, kind), (t, action)) in live.acted.iter().zip(&replayed) {
        assert_eq!(kind, action, "{:?}\n{text}", live.acted);
        assert!(
            (at.since(Time(0)).as_secs_f64() - t).abs() < 0.1,
            "{kind} at {at:?} and {t}"
        );
    }
}
