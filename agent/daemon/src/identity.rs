//! The identity adapter: gets the volume with the keys onto this host, tells whether it is held, and gives it back.
//!
//! It never formats and never detaches by force. What cannot be told is told as such: it is neither held nor lost.

pub mod hands;
pub mod keys;
pub mod lease;
pub mod local;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use self::hands::Hands;
use self::lease::{Claim, Lease};
use self::local::{Device, Local};
use agent_aws::{Attachment, Volumes};
use agent_core::event::{Holding, Identity};
use agent_net::backoff::pauses;

/// Between two looks at mount, device and lease while it is held.
const ROUND: Duration = Duration::from_secs(2);
/// Between two questions to the API while it is held.
const ASK: Duration = Duration::from_secs(20);
/// The first and the longest wait between two attempts to get it.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// A disk that hangs must not keep the agent.
const LOOK: Duration = Duration::from_secs(5);
/// Giving it back may take so long: the instance waits for it.
const RELEASE: Duration = Duration::from_secs(20);
/// What another host gets to notice that the volume was taken from it by force, and to stop its collator: it looks every
/// [`ROUND`].
const NOTICE: Duration = Duration::from_secs(30);
/// Steps of one round that each changed something.
const STEPS: usize = 8;
/// Names to attach under; the kernel has names of its own on newer instances.
const NAMES: [&str; 4] = ["/dev/sdp", "/dev/sdo", "/dev/sdn", "/dev/sdm"];

/// What is to be held, and how.
#[derive(Debug, Clone)]
pub struct Setup {
    /// This host's name, which holds the lease where there are no instances.
    pub host: String,
    /// `None` is a mount that somebody else makes.
    pub volume: Option<String>,
    pub mount: PathBuf,
    /// Base URI of the metadata service.
    pub imds: String,
    /// The API's address where it is not the region's own.
    pub endpoint: Option<String>,
    /// Where the root helper is asked.
    pub requests: PathBuf,
}

/// What the collator is doing, as far as the volume is concerned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Nothing runs that could use the volume.
    pub down: bool,
    /// This host ends, and the volume may go.
    pub vacated: bool,
}

/// What becomes of the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityEvent {
    /// What this host has of it, whenever that changes.
    Holding(Identity),
    /// It was given back after [`Wanted::vacated`], or that was given up.
    Released,
}

/// Holds the volume for as long as somebody listens.
pub async fn hold(setup: Setup, events: Sender<IdentityEvent>, mut wanted: watch::Receiver<Wanted>) {
    let mut keeper = Keeper {
        volumes: Volumes::new(&setup.imds, setup.endpoint.clone()),
        hands: Hands::new(&setup.requests),
        setup,
        here: None,
        held: false,
        attempts: 0,
        renewed: None,
        taken: None,
    };
    let mut told: Option<Identity> = None;
    let mut released = false;
    let mut retry = pauses(RETRY.0, RETRY.1);
    loop {
        let now = *wanted.borrow_and_update();
        if now.vacated {
            if !std::mem::replace(&mut released, true) {
                match timeout(RELEASE, keeper.release()).await {
                    Ok(Ok(())) => info!("the identity was given back"),
                    Ok(Err(why)) => warn!(why, "the identity was not given back"),
                    Err(_) => warn!(limit = ?RELEASE, "the identity was not given back in time"),
                }
                if events.send(IdentityEvent::Released).await.is_err() {
                    return;
                }
            }
            if wanted.changed().await.is_err() {
                return;
            }
            continue;
        }
        released = false;
        let found = keeper.round(now).await;
        let held = found.holding == Holding::Held;
        if told.as_ref() != Some(&found) {
            info!(holding = found.holding.into_str(), why = found.why, "identity");
            if events.send(IdentityEvent::Holding(found.clone())).await.is_err() {
                return;
            }
            told = Some(found);
        }
        let wait = if held {
            retry = pauses(RETRY.0, RETRY.1);
            ROUND
        } else {
            retry.next().unwrap_or(RETRY.1)
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                retry = pauses(RETRY.0, RETRY.1);
            }
        }
    }
}

struct Keeper {
    setup: Setup,
    volumes: Volumes,
    hands: Hands,
    /// When the API last said that the volume is attached here.
    here: Option<Instant>,
    /// It was held in this life.
    held: bool,
    attempts: usize,
    /// When the lease was last written.
    renewed: Option<Instant>,
    /// When the volume was first seen here with the lease of a host that did not give it back.
    taken: Option<Instant>,
}

/// One step on the way to holding it.
enum Step {
    /// Something changed: look again.
    Again,
    Told(Identity),
}

fn told(holding: Holding, why: impl Into<String>) -> Step {
    let why = why.into();
    Step::Told(Identity { holding, why })
}

impl Keeper {
    async fn round(&mut self, wanted: Wanted) -> Identity {
        for _ in 0..STEPS {
            match self.step(wanted).await {
                Step::Again => {}
                Step::Told(found) => {
                    match found.holding {
                        Holding::Held => self.held = true,
                        // What nothing uses any more is only missing.
                        Holding::Missing | Holding::Lost if wanted.down => self.held = false,
                        _ => {}
                    }
                    return found;
                }
            }
        }
        let why = "the volume comes and goes; is another agent at work here?".to_owned();
        Identity {
            holding: Holding::Missing,
            why,
        }
    }

    /// Not here: lost, if it was.
    fn absent(&self, why: impl Into<String>) -> Step {
        let holding = if self.held { Holding::Lost } else { Holding::Missing };
        told(holding, why)
    }

    async fn step(&mut self, wanted: Wanted) -> Step {
        let (mount, volume) = (self.setup.mount.clone(), self.setup.volume.clone());
        let look = tokio::task::spawn_blocking(move || local::look(&mount, volume.as_deref()));
        let found = match timeout(LOOK, look).await {
            Ok(Ok(Ok(found))) => found,
            Ok(Ok(Err(error))) => return told(Holding::Unknown, format!("{}: {error}", self.setup.mount.display())),
            Ok(Err(error)) => return told(Holding::Unknown, error.to_string()),
            Err(_) => {
                return told(
                    Holding::Unknown,
                    format!("{} does not answer", self.setup.mount.display()),
                );
            }
        };
        match self.setup.volume.clone() {
            Some(volume) => self.step_volume(&volume, found, wanted).await,
            None => self.step_mount(found),
        }
    }

    async fn step_volume(&mut self, volume: &str, found: Local, wanted: Wanted) -> Step {
        let misplaced = self.misplaced(volume, &found);
        match &misplaced {
            None if found.mounted.is_some_and(|mounted| mounted.read_only) => return self.read_only(),
            // Under a collator that runs, what this host itself sees is enough, whatever the API says or does not say.
            Some(why) if !wanted.down => {
                self.here = None;
                return self.absent(why);
            }
            Some(_) if self.held => self.here = None,
            _ => {}
        }
        let fresh = self.here.is_some_and(|at| at.elapsed() < ASK);
        if !fresh {
            match self.volumes.attachment(volume).await {
                Ok(Attachment::Here) => self.here = Some(Instant::now()),
                Ok(Attachment::Changing(word)) => return self.absent(format!("{volume} is {word}")),
                Ok(Attachment::Elsewhere(instance)) => {
                    (self.here, self.taken) = (None, None);
                    self.tidy(&found, wanted).await;
                    return self.absent(format!(
                        "{volume} is attached to {instance}, waiting until that gives it back"
                    ));
                }
                Ok(Attachment::Free) => {
                    (self.here, self.taken) = (None, None);
                    return self.attach(volume, &found, wanted).await;
                }
                Err(error) => {
                    return told(
                        Holding::Unknown,
                        format!("the attachment of {volume} is unknown: {error}"),
                    );
                }
            }
        }
        let instance = match self.volumes.instance().await {
            Ok(instance) => instance,
            Err(error) => return told(Holding::Unknown, error.to_string()),
        };
        match (found.device, found.mounted, misplaced) {
            (_, Some(mounted), None) => self.lease(&instance, mounted.read_only, found.lease, Claim::Exclusive),
            (Some(device), None, _) => self.mount(&device).await,
            (Some(_), Some(_), Some(_)) if self.tidy_stale(wanted).await => Step::Again,
            (_, _, why) => self.absent(why.unwrap_or_default()),
        }
    }

    /// Why what is mounted is not the volume, by what this host sees.
    fn misplaced(&self, volume: &str, found: &Local) -> Option<String> {
        let mount = self.setup.mount.display();
        match (&found.device, found.mounted) {
            (Some(device), Some(mounted)) if mounted.number == device.number => None,
            (None, _) => Some(format!("the device of {volume} is not to be seen (lsblk)")),
            (Some(device), None) => Some(format!("{} is not mounted at {mount}", device.path.display())),
            (Some(device), Some(_)) => Some(format!("{mount} is not {}: unmount it", device.path.display())),
        }
    }

    fn read_only(&self) -> Step {
        let mount = self.setup.mount.display();
        let why = format!("{mount} is read-only: look at dmesg, then mount it anew");
        told(Holding::ReadOnly, why)
    }

    fn step_mount(&mut self, found: Local) -> Step {
        let Some(mounted) = found.mounted else {
            let mount = self.setup.mount.display();
            return self.absent(format!(
                "nothing is mounted at {mount}: mount the volume with the keys there"
            ));
        };
        let host = self.setup.host.clone();
        self.lease(&host, mounted.read_only, found.lease, Claim::Shared)
    }

    fn lease(&mut self, holder: &str, read_only: bool, found: Option<Lease>, claim: Claim) -> Step {
        let mount = self.setup.mount.display().to_string();
        if read_only {
            return self.read_only();
        }
        let mine = match Lease::of(holder) {
            Ok(mine) => mine,
            Err(error) => return told(Holding::Unknown, format!("no lease can be written: {error}")),
        };
        let ours = found.as_ref().is_some_and(|lease| lease.is_same_holder(&mine));
        let due = claim == Claim::Shared && self.renewed.is_none_or(|at| at.elapsed() >= lease::RENEW);
        if ours && !due {
            return told(Holding::Held, "");
        }
        if let Some(other) = found.filter(|_| !ours) {
            if claim == Claim::Shared && other.is_fresh() {
                return self.absent(format!("{} holds {mount}, its lease is of a moment ago", other.holder));
            }
            let taken = *self.taken.get_or_insert_with(Instant::now);
            if claim == Claim::Exclusive && other.holder != holder && taken.elapsed() < NOTICE {
                return self.absent(format!(
                    "{} did not give {mount} back, and gets {} s to notice that it has it no more",
                    other.holder,
                    NOTICE.as_secs()
                ));
            }
            info!(holder = other.holder, at = %other.at, "an old lease is taken over");
        }
        match mine.write(&self.setup.mount) {
            Ok(()) => {
                (self.renewed, self.taken) = (Some(Instant::now()), None);
                told(Holding::Held, "")
            }
            // A volume that went away in between, or hangs; soon another host may take it.
            Err(error) if ours && self.renewed.is_none_or(|at| at.elapsed() < lease::UNSURE) => told(
                Holding::Unknown,
                format!("the lease in {mount} cannot be renewed: {error}"),
            ),
            Err(error) => self.absent(format!("no lease can be written to {mount}: {error}")),
        }
    }

    async fn attach(&mut self, volume: &str, found: &Local, wanted: Wanted) -> Step {
        if !wanted.down {
            return self.absent(format!("{volume} is not attached to this instance"));
        }
        self.tidy(found, wanted).await;
        let name = NAMES[self.attempts % NAMES.len()];
        self.attempts += 1;
        match self.volumes.attach(volume, name).await {
            Ok(()) => {
                info!(volume, "attaching the identity");
                Step::Told(Identity {
                    holding: Holding::Missing,
                    why: format!("{volume} is being attached"),
                })
            }
            Err(error) => self.absent(format!("{volume} cannot be attached: {error}")),
        }
    }

    async fn mount(&mut self, device: &Device) -> Step {
        match self.hands.mount(device, &self.setup.mount).await {
            Ok(true) => Step::Again,
            Ok(false) => self.absent(format!("{} is being mounted", device.path.display())),
            Err(why) => self.absent(why),
        }
    }

    /// Unmounts what is left of a volume that is not here any more.
    async fn tidy(&mut self, found: &Local, wanted: Wanted) {
        if found.mounted.is_some() {
            self.tidy_stale(wanted).await;
        }
    }

    async fn tidy_stale(&mut self, wanted: Wanted) -> bool {
        if !wanted.down {
            return false;
        }
        match self.hands.unmount(&self.setup.mount).await {
            Ok(done) => done,
            Err(why) => {
                warn!(why, "what is left of the identity was not unmounted");
                false
            }
        }
    }

    /// Unmounts and detaches. Fails with the reason.
    async fn release(&mut self) -> Result<(), String> {
        let Some(volume) = self.setup.volume.clone() else {
            return lease::remove(&self.setup.mount).map_err(|error| error.to_string());
        };
        (self.held, self.here) = (false, None);
        let mut retry = pauses(RETRY.0, RETRY.1);
        loop {
            match self.give_back(&volume).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(why) => warn!(why, "the identity is not given back yet"),
            }
            tokio::time::sleep(retry.next().unwrap_or(RETRY.1)).await;
        }
    }

    async fn give_back(&mut self, volume: &str) -> Result<bool, String> {
        if local::mounted(&self.setup.mount).map_err(|e| e.to_string())?.is_some() {
            if let Err(error) = lease::remove(&self.setup.mount) {
                warn!(%error, "the lease stays on the volume, and the next host waits for this one");
            }
            self.hands.unmount(&self.setup.mount).await?;
            return Ok(false);
        }
        match self.volumes.attachment(volume).await.map_err(|e| e.to_string())? {
            Attachment::Here => {
                self.volumes.detach(volume).await.map_err(|e| e.to_string())?;
                Ok(true)
            }
            Attachment::Changing(_) | Attachment::Free | Attachment::Elsewhere(_) => Ok(true),
        }
    }
}
