//! Polls the metadata service and sends what changed.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::Sender;
use tracing::{debug, info, warn};

use super::dmi::Dmi;
use super::imds::{Imds, ImdsError, READY_TIMEOUT};
use super::notices::{NoticeSource, PendingNotices, notice};
use agent_config::{DEFAULT_IMDS, Ec2Config};
use agent_core::event::Notice;
use agent_net::backoff::pauses;
use agent_runtime::{boottime, wall};

/// Poll interval of urgent documents, as AWS recommends for the notice of two minutes. Without jitter: the service is this
/// instance's own.
const URGENT: Duration = Duration::from_secs(5);
/// Every so many polls, the documents that leave hours are read as well.
const SLOW_EVERY: u32 = 7;
/// Path of the instance's id.
const INSTANCE: &str = "meta-data/instance-id";
/// Path of the purchase option: `spot`, `on-demand`, …
const LIFE_CYCLE: &str = "meta-data/instance-life-cycle";
/// The longest wait after a failed poll; a notice leaves two minutes.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// The first and the longest wait between probes for a service that is absent.
const PROBE_PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_hours(1));
/// The longest wait where the configuration says that this is EC2.
const PROBE_PAUSE_MAX_ON_EC2: Duration = Duration::from_secs(30);
/// Failed probes after which this host is taken to be outside EC2.
const PROBES_UNTIL_ABSENT: u32 = 4;

/// A change of what the metadata service reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataEvent {
    /// The host is this EC2 instance.
    Instance { id: String },
    /// The most severe notice; `None` when there is none, or no longer one.
    Notice(Option<Notice>),
    /// Why notices cannot be read; `None` once they can again.
    Unseen(Option<String>),
    /// Why the lifecycle hook cannot be answered; `None` once it can, or nothing is to be answered.
    HookUnanswered(Option<String>),
}

/// Polls until the receiver is closed.
pub async fn watch(config: Ec2Config, events: Sender<MetadataEvent>) {
    // A configured address, or `true`, is believed; the default address may belong to any host where this is not EC2.
    let needs_proof = config.enabled.is_none() && config.imds == DEFAULT_IMDS;
    watch_on(needs_proof.then(Dmi::of_host), config, events).await;
}

/// As [`watch`]; the service is believed only where `proof` says the same.
pub(super) async fn watch_on(proof: Option<Dmi>, config: Ec2Config, events: Sender<MetadataEvent>) {
    if config.enabled == Some(false) {
        // Clears a notice received under an earlier configuration.
        drop(events.send(MetadataEvent::Notice(None)).await);
        return;
    }
    let mut imds = Imds::new(&config.imds);
    let Some(id) = find(&mut imds, proof.as_ref(), &config, &events).await else {
        return;
    };
    info!(instance = id, "this is an EC2 instance");
    if events.send(MetadataEvent::Instance { id }).await.is_ok() {
        NoticePoller::new(imds.with_timeout(READY_TIMEOUT), events).run().await;
    }
}

/// The instance's id, however long that takes; `None` when the receiver is closed.
async fn find(
    imds: &mut Imds,
    proof: Option<&Dmi>,
    config: &Ec2Config,
    events: &Sender<MetadataEvent>,
) -> Option<String> {
    let on_ec2 = config.enabled == Some(true);
    let longest = if on_ec2 { PROBE_PAUSE_MAX_ON_EC2 } else { PROBE_PAUSE.1 };
    for (pause, attempt) in pauses(PROBE_PAUSE.0, longest).zip(1_u32..) {
        let is_elsewhere = proof.is_some_and(|dmi| !dmi.is_amazon());
        let asked = if is_elsewhere {
            Ok(None)
        } else {
            imds.get(INSTANCE).await
        };
        let why = match asked {
            _ if is_elsewhere => "this machine is not Amazon's (/sys/class/dmi/id)".to_owned(),
            Ok(Some(id)) if is_id(&id) && proof.is_none_or(|dmi| dmi.is_instance(&id)) => return Some(id),
            Ok(Some(id)) if is_id(&id) => format!("it says {id}, and this machine another instance (board_asset_tag)"),
            Ok(_) => "it has no instance id".to_owned(),
            Err(error) => error.to_string(),
        };
        if on_ec2 && attempt == 1 {
            warn!(
                why,
                "EC2 notices cannot be read: check ec2.imds, and set ec2.enabled = \"auto\" where this is not EC2"
            );
        } else {
            debug!(why, "no EC2 instance found");
        }
        if attempt == PROBES_UNTIL_ABSENT && !on_ec2 {
            events.send(MetadataEvent::Notice(None)).await.ok()?;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = events.closed() => return None,
        }
    }
    None
}

fn is_id(text: &str) -> bool {
    let word = text.trim();
    word.len() == text.len() && word.starts_with("i-") && word.len() < 40 && word.chars().all(|c| c.is_ascii_graphic())
}

pub(super) struct NoticePoller {
    imds: Imds,
    events: Sender<MetadataEvent>,
    pending: PendingNotices,
    polls: u32,
    /// Whether it is a spot instance; `None` while unknown.
    spot: Option<bool>,
    /// Whether it is in an auto scaling group, as of the last poll.
    grouped: bool,
    /// What was sent last.
    sent: Option<Sent>,
    unseen: bool,
}

type Sent = Option<(agent_core::event::NoticeKind, Option<Timestamp>)>;

impl NoticePoller {
    pub(super) fn new(imds: Imds, events: Sender<MetadataEvent>) -> Self {
        Self {
            imds,
            events,
            pending: PendingNotices::default(),
            polls: 0,
            spot: None,
            grouped: true,
            sent: None,
            unseen: false,
        }
    }

    async fn run(mut self) {
        let pauses = || pauses(URGENT, RETRY_MAX);
        let mut retry = pauses();
        while !self.events.is_closed() {
            let wait = if self.poll().await.is_ok() {
                retry = pauses();
                URGENT
            } else {
                retry.next().unwrap_or(RETRY_MAX)
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.events.closed() => return,
            }
        }
    }

    /// Polls once. Returns the last error; what could be read is sent all the same.
    pub(super) async fn poll(&mut self) -> Result<(), ImdsError> {
        let slow = self.polls.is_multiple_of(SLOW_EVERY) || !self.pending.is_complete();
        self.polls = self.polls.wrapping_add(1);
        if self.spot.is_none() {
            // On-demand instances have no spot document.
            let kind = self.imds.get(LIFE_CYCLE).await.ok();
            self.spot = kind.map(|kind| kind.as_deref() != Some("on-demand"));
        }
        let (mut error, mut malformed) = (None, None);
        for source in NoticeSource::ALL {
            let urgent = match source {
                NoticeSource::Spot => self.spot != Some(false),
                NoticeSource::Lifecycle => self.grouped,
                NoticeSource::Rebalance | NoticeSource::Scheduled => false,
            };
            if !slow && !urgent {
                continue;
            }
            match self.poll_source(source).await {
                // A more severe notice is sent before the other documents are read.
                Ok(true) => self.send_notice(true).await,
                Ok(false) => malformed = Some(source),
                Err(unread) => error = Some(unread),
            }
        }
        self.send_notice(false).await;
        let unseen = error.is_some() || malformed.is_some();
        if self.unseen != unseen {
            self.unseen = unseen;
            let malformed = malformed.map(|source| format!("{} is malformed", source.path()));
            let why = error.as_ref().map(ToString::to_string).or(malformed);
            if let Some(why) = &why {
                warn!(why, "EC2 notices cannot be read at the moment");
            } else {
                info!("EC2 notices can be read again");
            }
            // The receiver is closed when the agent stops.
            drop(self.events.send(MetadataEvent::Unseen(why)).await);
        }
        error.map_or(Ok(()), Err)
    }

    /// Reads one document. False when it is malformed, which does not slow the polls of the others.
    async fn poll_source(&mut self, source: NoticeSource) -> Result<bool, ImdsError> {
        let found = self.imds.get(source.path()).await?;
        if found.is_none()
            && self.pending.has_any(source)
            && !matches!(self.imds.get(INSTANCE).await?, Some(id) if is_id(&id))
        {
            // Without an instance id, its 404 cancels no notice.
            return Err(ImdsError::Unavailable("it has no instance id".to_owned()));
        }
        if source == NoticeSource::Lifecycle {
            self.grouped = found.is_some();
        }
        let announcements = match found {
            None => Vec::new(),
            Some(text) => match source.parse(&text) {
                Some(announcements) => announcements,
                None => return Ok(false),
            },
        };
        let booted = wall::now() - boottime::now();
        self.pending.record(source, announcements, booted);
        Ok(true)
    }

    /// Sends the most severe notice when it changed, or only when it is `more_severe`. Sends that there is none once every
    /// document was read, or the notice sent last is gone.
    async fn send_notice(&mut self, more_severe: bool) {
        let now = wall::now();
        let current = self.pending.most_severe(now);
        let kind = |sent: Sent| sent.map(|(kind, _)| kind);
        let is_new = match self.sent {
            Some(sent) if more_severe => kind(current) > kind(sent),
            sent => sent != Some(current),
        };
        let gone = matches!(self.sent, Some(Some(_)));
        if is_new && (current.is_some() || gone || self.pending.is_complete()) {
            self.sent = Some(current);
            let event = MetadataEvent::Notice(current.map(|current| notice(current, now)));
            // The receiver is closed when the agent stops.
            drop(self.events.send(event).await);
        }
    }
}
