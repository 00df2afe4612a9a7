//! Random moves of the world around a collator, and random events.

use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use strum::VariantArray as _;

use super::super::harness::*;
use super::Move;
use crate::event::*;

/// How one chain behaves for a while.
#[derive(Debug, Clone)]
pub(super) struct Mood {
    pub(super) moves: bool,
    pub(super) network_moves: bool,
    pub(super) behind: u64,
    pub(super) peers: Option<u64>,
    pub(super) traffic: u64,
    pub(super) error: Option<ScrapeError>,
    /// Percent of the scrapes that time out.
    pub(super) flaps: u8,
}

pub(super) fn mood() -> impl Strategy<Value = Mood> {
    let errors = [
        None,
        None,
        None,
        None,
        Some(ScrapeError::Refused),
        Some(ScrapeError::Timeout),
        Some(ScrapeError::HttpStatus),
    ];
    (
        any::<bool>(),
        prop::bool::weighted(0.8),
        select(vec![0, 3, 500, 100_000]),
        select(vec![None, Some(0), Some(1), Some(8), Some(8)]),
        select(vec![0, 3 << 10, 500 << 10]),
        select(errors.to_vec()),
        select(vec![0, 0, 0, 30, 70]),
    )
        .prop_map(|(moves, network_moves, behind, peers, traffic, error, flaps)| Mood {
            moves,
            network_moves,
            behind,
            peers,
            traffic,
            error,
            flaps,
        })
}

pub(super) fn update() -> Command {
    Command::Update {
        image: "org/node:v2".to_owned(),
        automatic: false,
    }
}

pub(super) fn pulled(good: bool) -> Result<Images, PullError> {
    let image = |reference: &str| Image {
        reference: reference.to_owned(),
        pin: reference.to_owned(),
    };
    let images = Images {
        from: image("org/node:v1"),
        to: image("org/node:v2"),
    };
    Some(images)
        .filter(|_| good)
        .ok_or_else(|| PullError("no registry".to_owned()))
}

pub(super) fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        any::<bool>().prop_map(|automatic| Command::Stop { automatic }),
        any::<bool>().prop_map(|automatic| Command::Start { automatic }),
        Just(Command::Resume),
        (1..20_000_u64).prop_map(pause),
        Just(Command::Restart { reason: String::new() }),
    ]
}

pub(super) fn a_move() -> impl Strategy<Value = Move> {
    let lines = [
        "",
        "Thread 'main' panicked at 'x'",
        "Backend error: Corruption: x",
        "IO error: No space left on device",
    ];
    let failures = [
        ActionFailure::DockerUnreachable,
        ActionFailure::Other,
        ActionFailure::Image,
        ActionFailure::Foreign,
    ];
    prop_oneof![
        12 => (1..150_u16, mood(), mood()).prop_map(|(looks, para, relay)| Move::Watch { looks, para, relay }),
        2 => (select(vec![0, 1, 2, 137, 143]), select(lines.to_vec()), any::<bool>())
            .prop_map(|(code, line, oom)| Move::Exit { code, line, oom }),
        3 => Just(Move::RunsAnew),
        1 => Just(Move::DockerStop),
        1 => Just(Move::DockerKill),
        1 => Just(Move::DockerRemove),
        1 => Just(Move::DockerPause),
        2 => any::<bool>().prop_map(|reachable| Move::Docker { reachable }),
        2 => (select(vec![0, 2 << 30, 60 << 30, 60 << 30]), select(vec![None, Some(false), Some(true), Some(true)]))
            .prop_map(|(free, network_ok)| Move::Host { free, network_ok }),
        1 => select(vec![0.0, 150.0]).prop_map(|cpu| Move::Activity { cpu }),
        1 => of(notice()).prop_map(Move::Ec2),
        2 => holding().prop_map(Move::Identity),
        1 => (1..10_000_u64, any::<bool>()).prop_map(|(seconds, told)| Move::Gap { seconds, told }),
        1 => (0..10_000_u64).prop_map(|seconds| Move::AgentDies { seconds }),
        2 => command().prop_map(Move::Command),
        1 => (select(failures.map(Some).into_iter().chain([None; 4]).collect::<Vec<_>>()), prop::bool::weighted(0.8))
            .prop_map(|(failing, obeys)| Move::Luck(failing, obeys)),
        1 => Just(Move::Finished),
        3 => of(prop::bool::weighted(0.9)).prop_map(|pulled| Move::Update { pulled }),
        1 => prop::bool::weighted(0.8).prop_map(|good| Move::Pulled { good }),
        1 => Just(Move::Migrates),
    ]
}

pub(super) fn holding() -> impl Strategy<Value = Holding> {
    let all = [Holding::Missing, Holding::Lost, Holding::ReadOnly, Holding::Unknown];
    prop_oneof![select(all.to_vec()), Just(Holding::Held)]
}

pub(super) fn told(holding: Holding) -> Event {
    Event::Identity(Identity {
        holding,
        why: String::new(),
    })
}

pub(super) fn life() -> impl Strategy<Value = Vec<Move>> {
    prop::collection::vec(a_move(), 1..40)
}

pub(super) fn notice() -> impl Strategy<Value = Notice> {
    (select(NoticeKind::VARIANTS.to_vec()), of(0..5000u64)).prop_map(|(kind, seconds)| Notice { kind, seconds })
}

pub(super) fn any_event() -> impl Strategy<Value = Event> {
    let sample = any::<([Option<u64>; 4], Option<bool>, [Option<u64>; 4])>().prop_map(|(a, major_syncing, b)| Sample {
        best: a[0],
        finalized: a[1],
        target: a[2],
        peers: a[3],
        major_syncing,
        imported_total: b[0],
        bytes_in: b[1],
        process_start: b[2],
        built_total: b[3],
    });
    let exit = any::<(Option<i64>, bool)>().prop_map(|(code, oom)| Exit {
        code,
        oom,
        log: vec!["error: x".to_owned()],
    });
    let container = prop_oneof![
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
        (any::<Option<i64>>(), exit, any::<bool>()).prop_map(|(at, exit, spec_matches)| Container::Exited {
            at,
            exit,
            spec_matches
        }),
        any::<(Option<i64>, i64)>().prop_map(|(at, signal)| Container::Signalled { at, signal }),
        any::<Option<i64>>().prop_map(|at| Container::Stopped { at }),
        any::<Option<i64>>().prop_map(|at| Container::Removed { at }),
    ];
    let container = container.boxed();
    let chain = || select(Chain::VARIANTS.to_vec());
    let kinds = [
        ActionFailure::DockerUnreachable,
        ActionFailure::Executable,
        ActionFailure::Other,
    ];
    prop_oneof![
        container.clone().prop_map(Event::Container),
        (chain(), sample).prop_map(|(chain, sample)| Event::Sample { chain, sample }),
        (chain(), select(vec![ScrapeError::Timeout, ScrapeError::Unparsable]))
            .prop_map(|(chain, error)| Event::ScrapeFailed { chain, error }),
        any::<([Option<u64>; 3], Option<bool>, Option<f64>)>().prop_map(|(bytes, network_ok, f)| Event::Host(
            HostFacts {
                disk_free_bytes: bytes[0],
                disk_total_bytes: bytes[1],
                memory_available_bytes: bytes[2],
                memory_full_percent: f,
                io_full_percent: f,
                load1: f,
                network_ok,
                clock_offset_ms: f,
            }
        )),
        any::<(Option<f64>, [Option<u64>; 2])>().prop_map(|(cpu_percent, [read, written])| Event::Activity(Activity {
            cpu_percent,
            block_read_bytes: read,
            block_write_bytes: written,
        })),
        any::<bool>().prop_map(|reachable| Event::Docker { reachable }),
        of(notice()).prop_map(Event::Ec2),
        holding().prop_map(told),
        Just(Event::Gap),
        Just(Event::Tick),
        command().prop_map(Event::Operator),
        any::<u64>().prop_map(|seconds| Event::Operator(pause(seconds))),
        Just(Event::Operator(update())),
        any::<bool>().prop_map(|good| Event::Pulled(pulled(good))),
        select(vec!["4", "5"]).prop_map(|v| Event::Databases([(String::new(), v.to_owned())].into())),
        (container, any::<Option<i64>>()).prop_map(|(container, at)| Event::Finished(Outcome::Done { container, at })),
        select(kinds.to_vec()).prop_map(|kind| Event::Finished(Outcome::Failed {
            error: "no".to_owned(),
            kind
        })),
    ]
}
