//! The inputs of the event loop.

use std::pin::Pin;
use std::time::Duration;

use agent_aws::MetadataEvent;
use agent_docker::EngineEvent;
use agent_runtime::Instant;
use agent_runtime::disk::StalledDisks;
use futures_util::future::OptionFuture;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep_until};

use super::executor::{Completion, Executor};
use super::probes::Observation;
use crate::api;
use crate::identity::IdentityEvent;
use crate::recorder::Unsaved;
use crate::systemd::ServiceManager;

/// The state is saved at least this often, so that windows and history survive a power cut.
const SAVE_INTERVAL: Duration = Duration::from_mins(1);
/// Something is published at least this often, also while nothing happens: silence means that the loop hangs.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(10);

pub(super) enum Input {
    /// The agent is to stop.
    End,
    /// The watchdog's keep-alive is due.
    WatchdogDue,
    Engine(EngineEvent),
    Completion(Completion),
    Request(api::CommandRequest),
    Configuration(api::ConfigRequest),
    Metadata(MetadataEvent),
    Identity(IdentityEvent),
    Observation(Observation),
    /// A deadline of the core has passed.
    Deadline,
    SaveDue,
    PublishDue,
    /// Another disk does not answer, or one answers again.
    DisksChanged(StalledDisks),
    /// Why the flight recorder cannot write; `None` is that it can again.
    RecordsUnsaved(Option<String>),
}

type EngineEvents = Pin<Box<dyn Stream<Item = EngineEvent> + Send>>;

pub(super) struct Inputs {
    pub(super) engine: EngineEvents,
    pub(super) requests: mpsc::Receiver<api::CommandRequest>,
    pub(super) configurations: mpsc::Receiver<api::ConfigRequest>,
    pub(super) metadata: mpsc::Receiver<MetadataEvent>,
    pub(super) identity: mpsc::Receiver<IdentityEvent>,
    pub(super) observations: mpsc::Receiver<Observation>,
    pub(super) save: Interval,
    pub(super) publish: Interval,
    pub(super) disks: watch::Receiver<StalledDisks>,
    pub(super) records: watch::Receiver<Unsaved>,
}

/// The two intervals of the loop: saving and publishing.
pub(super) fn intervals() -> (Interval, Interval) {
    let delayed = |period| {
        let mut interval = interval(period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    };
    (delayed(SAVE_INTERVAL), delayed(PUBLISH_INTERVAL))
}

impl Inputs {
    /// The next input; of several that are ready, the most urgent.
    pub(super) async fn next(
        &mut self,
        executor: &mut Executor,
        manager: &mut ServiceManager,
        deadline: Option<Instant>,
        ended: &mut (impl Future<Output = ()> + Unpin),
    ) -> Input {
        let deadline = OptionFuture::from(deadline.map(|at| sleep_until(at)));
        tokio::select! {
            biased;
            () = ended => Input::End,
            () = manager.due() => Input::WatchdogDue,
            Some(event) = self.engine.next() => Input::Engine(event),
            completion = executor.completed() => Input::Completion(completion),
            Some(request) = self.requests.recv() => Input::Request(request),
            Some(request) = self.configurations.recv() => Input::Configuration(request),
            Some(event) = self.metadata.recv() => Input::Metadata(event),
            Some(event) = self.identity.recv() => Input::Identity(event),
            Some(observation) = self.observations.recv() => Input::Observation(observation),
            Ok(()) = self.disks.changed() => Input::DisksChanged(*self.disks.borrow_and_update()),
            Ok(()) = self.records.changed() => Input::RecordsUnsaved(self.records.borrow_and_update().why().map(str::to_owned)),
            Some(()) = deadline => Input::Deadline,
            _ = self.save.tick() => Input::SaveDue,
            _ = self.publish.tick() => Input::PublishDue,
        }
    }
}
