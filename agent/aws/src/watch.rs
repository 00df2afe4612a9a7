//! Looks at the metadata service again and again, and tells what is new.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::Sender;
use tracing::{debug, info, warn};

use super::imds::{Imds, PATIENCE, Unknown};
use super::notices::{Board, Source, notice};
use agent_config::Ec2Config;
use agent_core::event::Notice;
use agent_net::backoff::pauses;

/// Between two looks at what may leave no time. There is nothing to spread: the service is this instance's own.
const URGENT: Duration = Duration::from_millis(1700);
/// Every so many of those also at what leaves hours.
const SLOW_EVERY: u32 = 20;
/// Which instance it is.
const INSTANCE: &str = "meta-data/instance-id";
/// What kind of instance it is: `spot`, `on-demand`, …
const LIFE_CYCLE: &str = "meta-data/instance-life-cycle";
/// The longest wait while the service is in trouble: a notice leaves two minutes.
const TROUBLE_MAX: Duration = Duration::from_secs(10);
/// The first and the longest wait before looking again for a service that is not there.
const ABSENT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_hours(1));
/// The longest when the configuration says that this is EC2.
const MISSED: Duration = Duration::from_secs(30);
/// Looks that find no service before nobody believes any more that this is EC2.
const SURELY_ABSENT: u32 = 4;

/// What there is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// This is EC2.
    Instance { id: String },
    /// The gravest announcement now; `None` when there is none, or none any more.
    Notice(Option<Notice>),
    /// Why announcements cannot be seen; `None` once they can again.
    Unseen(Option<String>),
}

/// Watches for as long as somebody listens.
pub async fn watch(config: Ec2Config, news: Sender<News>) {
    if config.enabled == Some(false) {
        // What an earlier configuration was told does not hold for ever.
        drop(news.send(News::Notice(None)).await);
        return;
    }
    let mut imds = Imds::new(&config.imds);
    let Some(id) = find(&mut imds, &config, &news).await else {
        return;
    };
    info!(instance = id, "this is an EC2 instance");
    if news.send(News::Instance { id }).await.is_ok() {
        Rounds::new(imds.patient(PATIENCE), news).run().await;
    }
}

/// The instance's id, however long that takes; `None` when nobody listens any more.
async fn find(imds: &mut Imds, config: &Ec2Config, news: &Sender<News>) -> Option<String> {
    let surely = config.enabled == Some(true);
    let longest = if surely { MISSED } else { ABSENT.1 };
    for (pause, attempt) in pauses(ABSENT.0, longest).zip(1_u32..) {
        let why = match imds.get(INSTANCE).await {
            Ok(Some(id)) if is_id(&id) => return Some(id),
            Ok(_) => "it knows of no instance".to_owned(),
            Err(unknown) => unknown.to_string(),
        };
        if surely && attempt == 1 {
            warn!(
                why,
                "no notices of EC2 can be seen: check ec2.imds, and set ec2.enabled = \"auto\" where this is not EC2"
            );
        } else {
            debug!(why, "not on EC2, or not to be told yet");
        }
        if attempt == SURELY_ABSENT && !surely {
            news.send(News::Notice(None)).await.ok()?;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = news.closed() => return None,
        }
    }
    None
}

fn is_id(text: &str) -> bool {
    let word = text.trim();
    word.len() == text.len() && word.starts_with("i-") && word.len() < 40 && word.chars().all(|c| c.is_ascii_graphic())
}

pub(super) struct Rounds {
    imds: Imds,
    news: Sender<News>,
    board: Board,
    round: u32,
    /// Whether it may be interrupted: `None` while nobody has said what kind of instance it is.
    spot: Option<bool>,
    /// Whether it is in an auto scaling group, as far as known.
    grouped: bool,
    /// What was told last, with its wall time.
    told: Option<Told>,
    troubled: bool,
}

type Told = Option<(agent_core::event::NoticeKind, Option<Timestamp>)>;

impl Rounds {
    pub(super) fn new(imds: Imds, news: Sender<News>) -> Self {
        Self {
            imds,
            news,
            board: Board::default(),
            round: 0,
            spot: None,
            grouped: true,
            told: None,
            troubled: false,
        }
    }

    async fn run(mut self) {
        let pauses = || pauses(2 * URGENT, TROUBLE_MAX);
        let mut retry = pauses();
        while !self.news.is_closed() {
            let wait = if self.look().await.is_ok() {
                retry = pauses();
                URGENT
            } else {
                retry.next().unwrap_or(TROUBLE_MAX)
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.news.closed() => return,
            }
        }
    }

    /// One round. Fails with the last trouble; what could be seen is told all the same.
    pub(super) async fn look(&mut self) -> Result<(), Unknown> {
        let slow = self.round.is_multiple_of(SLOW_EVERY) || !self.board.is_complete();
        self.round = self.round.wrapping_add(1);
        if self.spot.is_none() {
            // Nobody asks in vain every second.
            let kind = self.imds.get(LIFE_CYCLE).await.ok();
            self.spot = kind.map(|kind| kind.as_deref() != Some("on-demand"));
        }
        let (mut trouble, mut strange) = (None, None);
        for source in Source::ALL {
            let urgent = match source {
                Source::Spot => self.spot != Some(false),
                Source::Lifecycle => self.grouped,
                Source::Rebalance | Source::Scheduled => false,
            };
            if !slow && !urgent {
                continue;
            }
            match self.look_at(source).await {
                // What is graver waits for no other document.
                Ok(true) => self.tell(true).await,
                Ok(false) => strange = Some(source),
                Err(unknown) => trouble = Some(unknown),
            }
        }
        self.tell(false).await;
        let unseen = trouble.is_some() || strange.is_some();
        if self.troubled != unseen {
            self.troubled = unseen;
            let strange = strange.map(|source| format!("{} is not what it should be", source.path()));
            let why = trouble.as_ref().map(ToString::to_string).or(strange);
            if let Some(why) = &why {
                warn!(why, "notices of EC2 cannot be seen at the moment");
            } else {
                info!("notices of EC2 can be seen again");
            }
            // Nobody to tell when the agent stops.
            drop(self.news.send(News::Unseen(why)).await);
        }
        trouble.map_or(Ok(()), Err)
    }

    /// False for a document that nobody understands: that is no reason to look at the others less often.
    async fn look_at(&mut self, source: Source) -> Result<bool, Unknown> {
        let found = self.imds.get(source.path()).await?;
        if found.is_none()
            && self.board.announces(source)
            && !matches!(self.imds.get(INSTANCE).await?, Some(id) if is_id(&id))
        {
            // It knows nothing at all, so nothing is called off.
            return Err(Unknown::Trouble("it knows of no instance".to_owned()));
        }
        if source == Source::Lifecycle {
            self.grouped = found.is_some();
        }
        let foreseen = match found {
            None => Vec::new(),
            Some(text) => match source.read(&text) {
                Some(foreseen) => foreseen,
                None => return Ok(false),
            },
        };
        self.board.note(source, foreseen);
        Ok(true)
    }

    /// Tells what is announced, when that is new, or only when it is `graver`; that nothing is, once everything was seen, or
    /// what was told is gone.
    async fn tell(&mut self, graver: bool) {
        let now = Timestamp::now();
        let gravest = self.board.gravest(now);
        let kind = |told: Told| told.map(|(kind, _)| kind);
        let untold = match self.told {
            Some(told) if graver => kind(gravest) > kind(told),
            told => told != Some(gravest),
        };
        let gone = matches!(self.told, Some(Some(_)));
        if untold && (gravest.is_some() || gone || self.board.is_complete()) {
            self.told = Some(gravest);
            let news = News::Notice(gravest.map(|gravest| notice(gravest, now)));
            // Nobody to tell when the agent stops.
            drop(self.news.send(news).await);
        }
    }
}
