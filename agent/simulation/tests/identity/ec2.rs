//! A host with one volume, and an EC2 API that answers as the test says.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_core::event::{Holding, HostFacts, Identity};
use agent_daemon::identity::block_device::{BlockDevice, MountState};
use agent_daemon::identity::{IdentityEvent, VolumeSettings, VolumeUse, hold};
use agent_daemon::simulation::{self, Machine};
use agent_net::simulation::{self as network, Answer, Network};
use agent_runtime::simulation::World;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};

pub(crate) const VOLUME: &str = "vol-0123456789abcdef0";
const INSTANCE: &str = "i-00000001";
const NUMBER: (u32, u32) = (259, 3);
/// What EC2 says of a volume that is attached nowhere.
pub(crate) const FREE: &str = "";

/// An error of the API: its action, code and message.
pub(crate) type Refusal = (&'static str, &'static str, &'static str);

#[derive(Default)]
pub(crate) struct Account {
    /// The attachment's status: `attached`, `busy`, … or [`FREE`].
    pub(crate) status: &'static str,
    /// The status in answers, where it is not that.
    pub(crate) said: Option<&'static str>,
    /// Status of a volume after `AttachVolume` with this device name; `attached` with others.
    pub(crate) taken: Option<(&'static str, &'static str)>,
    pub(crate) refused: Vec<Refusal>,
    /// The role's document in place of credentials.
    pub(crate) role: Option<String>,
    pub(crate) mounted: bool,
    /// Something has a file open there.
    pub(crate) in_use: bool,
    /// Calls with their device names, oldest first.
    pub(crate) calls: Vec<(String, String)>,
}

impl Account {
    fn is_plugged(&self) -> bool {
        !matches!(self.status, FREE | "attaching")
    }

    pub(crate) fn count(&self, action: &str) -> usize {
        self.calls.iter().filter(|(name, _)| name == action).count()
    }
}

/// A running task that holds the volume.
pub(crate) struct Host {
    pub(crate) account: Arc<Mutex<Account>>,
    pub(crate) volume_use: watch::Sender<VolumeUse>,
    events: mpsc::Receiver<IdentityEvent>,
    pub(crate) last: Option<Identity>,
    _world: World,
    _dir: tempfile::TempDir,
}

impl Host {
    /// Begins to hold the volume; nothing uses it. Called within a runtime whose time is paused.
    pub(crate) fn start(account: Account) -> Self {
        let world = World::begin("2026-11-30T00:00:00Z".parse().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let account = Arc::new(Mutex::new(account));
        let stand_in = Arc::new(StandIn(Arc::clone(&account)));
        simulation::set(Some(Arc::clone(&stand_in) as _));
        network::set(Some(stand_in));
        let settings = VolumeSettings {
            host: "host".to_owned(),
            volume: Some(VOLUME.to_owned()),
            mount: dir.path().to_owned(),
            imds: "http://169.254.169.254".to_owned(),
            endpoint: Some("http://ec2.internal/".to_owned()),
            requests: dir.path().to_owned(),
        };
        let (sender, events) = mpsc::channel(64);
        let volume_use = watch::Sender::new(VolumeUse {
            idle: true,
            vacated: false,
        });
        tokio::spawn(hold(settings, sender, volume_use.subscribe()));
        Self {
            account,
            volume_use,
            events,
            last: None,
            _world: world,
            _dir: dir,
        }
    }

    /// One that holds the volume, with a collator that uses it.
    pub(crate) async fn holding() -> Self {
        let mut host = Self::start(Account::default());
        host.pass(30).await;
        assert_eq!(host.state(), Holding::Held, "{:?}", host.last);
        host.set_idle(false);
        host
    }

    pub(crate) fn set_idle(&self, idle: bool) {
        self.volume_use.send_modify(|volume_use| volume_use.idle = idle);
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        change(&mut self.account.lock().unwrap())
    }

    /// Lets so many seconds pass. Returns all that was reported meanwhile.
    pub(crate) async fn pass(&mut self, seconds: u64) -> Vec<Identity> {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let mut found = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if let IdentityEvent::Holding(identity) = event {
                found.push(identity);
            }
        }
        self.last = found.last().cloned().or(self.last.take());
        found
    }

    pub(crate) fn state(&self) -> Holding {
        self.last.as_ref().unwrap().holding
    }

    pub(crate) fn why(&self) -> &str {
        &self.last.as_ref().unwrap().why
    }
}

struct StandIn(Arc<Mutex<Account>>);

impl Machine for StandIn {
    fn name(&self) -> String {
        "host".to_owned()
    }

    fn facts(&self) -> HostFacts {
        HostFacts::default()
    }

    fn mounted(&self, _: &Path) -> io::Result<Option<MountState>> {
        let account = self.0.lock().unwrap();
        Ok(account.mounted.then_some(MountState {
            number: NUMBER,
            read_only: false,
        }))
    }

    fn device(&self, _: &str) -> Option<BlockDevice> {
        let plugged = self.0.lock().unwrap().is_plugged();
        plugged.then(|| BlockDevice {
            path: "/dev/nvme1n1".into(),
            number: NUMBER,
            by_serial: true,
        })
    }

    fn mount(&self, _: &BlockDevice, _: &Path) -> Answer<()> {
        self.0.lock().unwrap().mounted = true;
        Box::pin(async { Ok(()) })
    }

    fn unmount(&self, _: &Path) -> Answer<()> {
        let mut account = self.0.lock().unwrap();
        if account.in_use {
            return Box::pin(async { Err(io::Error::other("target is busy")) });
        }
        account.mounted = false;
        if matches!(account.status, "busy" | "detaching") {
            account.status = FREE;
        }
        Box::pin(async { Ok(()) })
    }
}

impl Network for StandIn {
    fn connect(&self, _: &str) -> Answer<DuplexStream> {
        Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
    }

    fn request(&self, request: Request<Bytes>) -> Answer<Response<Bytes>> {
        let mut account = self.0.lock().unwrap();
        let (status, text) = if request.uri().host() == Some("169.254.169.254") {
            document(&account, request.uri().path())
        } else {
            let form: HashMap<String, String> = url::form_urlencoded::parse(request.body()).into_owned().collect();
            call(&mut account, &form)
        };
        Box::pin(async move { Ok(Response::builder().status(status).body(text.into()).unwrap()) })
    }
}

fn document(account: &Account, path: &str) -> (u16, String) {
    let keys = json!({
        "Code": "Success", "AccessKeyId": "AKIA", "SecretAccessKey": "secret", "Token": "token",
        "Expiration": "2999-01-01T00:00:00Z",
    });
    let text = match path.trim_start_matches("/latest/").trim_start_matches("meta-data/") {
        "api/token" => "token".to_owned(),
        "instance-id" => INSTANCE.to_owned(),
        "placement/region" => "eu-central-1".to_owned(),
        "iam/security-credentials/" => "collator".to_owned(),
        "iam/security-credentials/collator" => account.role.clone().unwrap_or_else(|| keys.to_string()),
        _ => return (404, String::new()),
    };
    (200, text)
}

fn call(account: &mut Account, form: &HashMap<String, String>) -> (u16, String) {
    let of = |name: &str| form.get(name).cloned().unwrap_or_default();
    let (action, device) = (of("Action"), of("Device"));
    account.calls.push((action.clone(), device.clone()));
    if let Some((_, code, message)) = account.refused.iter().find(|(of, ..)| *of == action) {
        let error = format!("<Code>{code}</Code><Message>{message}</Message>");
        return (400, format!("<R><Errors><Error>{error}</Error></Errors></R>"));
    }
    match action.as_str() {
        "AttachVolume" => {
            let taken = account.taken.filter(|(name, _)| *name == device);
            account.status = taken.map_or("attached", |(_, status)| status);
            (200, "<R/>".to_owned())
        }
        "DetachVolume" => {
            account.status = FREE;
            (200, "<R/>".to_owned())
        }
        _ => {
            let status = account.said.unwrap_or(account.status);
            let item = format!("<item><instanceId>{INSTANCE}</instanceId><status>{status}</status></item>");
            let item = if status == FREE { String::new() } else { item };
            let volume = format!("<volumeId>{VOLUME}</volumeId><attachmentSet>{item}</attachmentSet>");
            (200, format!("<R><volumeSet><item>{volume}</item></volumeSet></R>"))
        }
    }
}
