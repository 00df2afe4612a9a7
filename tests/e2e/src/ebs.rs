//! One EBS volume, an EC2 API that lets one instance have it, and a metadata service for each instance.
//!
//! A stand-in: the volume is a loop device, an instance is an agent in a mount namespace of its own, and what the
//! kernel would show of an attached volume is a link in that instance's own `/dev/disk/by-id`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::task::spawn_blocking;

use crate::ec2::{field, reply};
use crate::http_server::{self, Request};
use crate::wait;

pub const VOLUME: &str = "vol-0123456789abcdef0";
const TOOL_SECONDS: u32 = 30;
/// A gate that nobody opens is a test that failed.
const GATE: Duration = Duration::from_mins(1);

/// When a call is kept waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakpoint {
    /// Before it has any effect; it never gets one, as a call that was lost.
    Before(&'static str),
    /// After that, and before the answer.
    After(&'static str),
}

#[derive(Debug, Default)]
struct State {
    holder: Option<String>,
    /// The instances' folders of device links.
    links: BTreeMap<String, PathBuf>,
    calls: Vec<(String, String)>,
    gate: Option<Breakpoint>,
    /// A call waits at the gate.
    waiting: bool,
    /// Answers 503 to everything.
    out_of_order: bool,
}

/// The volume and the services. The loop device goes when this is dropped.
#[derive(Debug)]
pub struct EbsVolume {
    state: Arc<(Mutex<State>, Condvar)>,
    device: PathBuf,
    dir: PathBuf,
}

/// One instance as its agent sees it.
#[derive(Debug)]
pub struct Instance {
    pub id: String,
    pub url: String,
    /// To be bound over `/dev/disk/by-id`.
    pub links: PathBuf,
    /// Where the volume is mounted: below the shared folder, so that the engine sees it too.
    pub mount: PathBuf,
}

impl EbsVolume {
    /// A volume with a file system and, on it, a keystore. Its files lie in `dir`, which becomes a shared mount.
    ///
    /// # Errors
    /// No loop device, no right to mount, or no mkfs.ext4.
    pub fn new(dir: &Path) -> Result<Self> {
        let image = dir.join("volume.img");
        File::create(&image)?.set_len(16 << 20)?;
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        let device = run(Command::new("losetup").args(["--find", "--show"]).arg(&image))?;
        let volume = Self {
            state: Arc::default(),
            device: device.trim().into(),
            dir: dir.to_owned(),
        };
        let shared = dir.join("shared");
        fs::create_dir(&shared)?;
        run(Command::new("mount").arg("--bind").args([&shared, &shared]))?;
        run(Command::new("mount").arg("--make-shared").arg(&shared))?;
        let keys = dir.join("keys");
        fs::create_dir(&keys)?;
        run(Command::new("mount").args([&volume.device, &keys]))?;
        fs::create_dir(keys.join("keystore"))?;
        run(Command::new("umount").arg(&keys))?;
        Ok(volume)
    }

    /// An instance that has nothing yet.
    ///
    /// # Errors
    /// No port, or no room.
    pub fn instance(&self, id: &str) -> Result<Instance> {
        let links = self.dir.join(format!("links-{id}"));
        fs::create_dir(&links)?;
        self.state().links.insert(id.to_owned(), links.clone());
        let server = Arc::new(Server {
            id: id.to_owned(),
            state: Arc::clone(&self.state),
            device: self.device.clone(),
        });
        let address = http_server::start(None, move |request| {
            let server = Arc::clone(&server);
            // A call may have to wait at the gate.
            let answered = spawn_blocking(move || server.answer(&request));
            async { answered.await.map_err(io::Error::other)? }
        })?;
        Ok(Instance {
            id: id.to_owned(),
            url: format!("http://{address}"),
            links,
            mount: self.dir.join("shared").join(id),
        })
    }

    /// Tells an instance that its group ends it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn terminate(&self, instance: &Instance) -> Result<()> {
        Ok(fs::write(instance.links.with_extension("notice"), "Terminated")?)
    }

    /// Who has the volume.
    pub fn holder(&self) -> Option<String> {
        self.state().holder.clone()
    }

    /// Calls of that name by that instance.
    pub fn calls(&self, id: &str, action: &str) -> usize {
        let calls = &self.state().calls;
        calls.iter().filter(|(who, what)| who == id && what == action).count()
    }

    /// Takes it from whoever has it, as a detachment by force does.
    pub fn take_away(&self) {
        let mut state = self.state();
        state.holder = None;
        for links in state.links.values() {
            let _ = fs::remove_file(link(links));
        }
    }

    /// Keeps the next such call waiting.
    pub fn set_breakpoint(&self, gate: Breakpoint) {
        self.state().gate = Some(gate);
    }

    /// Waits until a call waits.
    ///
    /// # Errors
    /// None came.
    pub fn wait_at_breakpoint(&self) -> Result<()> {
        let limit = wait::SOON;
        wait::until("a call at the gate", limit, || {
            ensure!(self.state().waiting, "no call waits");
            Ok(())
        })
    }

    /// Lets calls pass again.
    pub fn release(&self) {
        let mut state = self.state();
        (state.gate, state.waiting) = (None, false);
        self.state.1.notify_all();
    }

    /// Lets the API answer nothing but 503, or work again.
    pub fn set_out_of_order(&self, out_of_order: bool) {
        self.state().out_of_order = out_of_order;
    }

    /// Lets the file system become read-only, as an error on the device does.
    ///
    /// # Errors
    /// It is not mounted there.
    pub fn make_read_only(&self, instance: &Instance) -> Result<()> {
        run(Command::new("mount").args(["-o", "remount,ro"]).arg(&instance.mount)).map(drop)
    }

    /// Takes the mount away under whoever uses it.
    ///
    /// # Errors
    /// It is not mounted there.
    pub fn unmount(&self, instance: &Instance) -> Result<()> {
        run(Command::new("umount").arg("--lazy").arg(&instance.mount)).map(drop)
    }

    /// Lets it be written to again.
    ///
    /// # Errors
    /// It is not mounted there.
    pub fn make_writable(&self, instance: &Instance) -> Result<()> {
        run(Command::new("mount").args(["-o", "remount,rw"]).arg(&instance.mount)).map(drop)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for EbsVolume {
    fn drop(&mut self) {
        self.release();
        let shared = self.dir.join("shared");
        for entry in fs::read_dir(&shared).into_iter().flatten().flatten() {
            let _ = run(Command::new("umount").arg("--lazy").arg(entry.path()));
        }
        let _ = run(Command::new("umount").arg("--lazy").arg(&shared));
        let _ = run(Command::new("losetup").arg("--detach").arg(&self.device));
    }
}

struct Server {
    id: String,
    state: Arc<(Mutex<State>, Condvar)>,
    device: PathBuf,
}

impl Server {
    fn answer(&self, request: &Request) -> http_server::Answer {
        let (status, body) = match request.method.as_str() {
            "PUT" => (200, "a-token".to_owned()),
            "POST" => self.call(field(&request.text(), "Action").unwrap_or_default()),
            _ => match request.uri.path().trim_start_matches("/latest/meta-data/") {
                "instance-id" => (200, self.id.clone()),
                "placement/region" => (200, "eu-central-1".to_owned()),
                "events/maintenance/scheduled" => (200, "[]".to_owned()),
                "iam/security-credentials/" => (200, "role".to_owned()),
                "iam/security-credentials/role" => (
                    200,
                    r#"{"AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"2999-01-01T00:00:00Z"}"#
                        .to_owned(),
                ),
                _ => self.document(request.uri.path()),
            },
        };
        reply(status, body)
    }

    /// What the test lets this instance be told.
    fn document(&self, path: &str) -> (u16, String) {
        let state = self.state.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !path.ends_with("autoscaling/target-lifecycle-state") {
            return (404, String::new());
        }
        let file = state.links.get(&self.id).map(|links| links.with_extension("notice"));
        let told = file.and_then(|file| fs::read_to_string(file).ok());
        (200, told.unwrap_or_else(|| "InService".to_owned()))
    }

    fn call(&self, action: &str) -> (u16, String) {
        if self.pass(|gate| matches!(gate, Breakpoint::Before(name) if name == action)) {
            return (503, String::new());
        }
        let answer = self.carry_out(action);
        self.pass(|gate| matches!(gate, Breakpoint::After(name) if name == action));
        answer
    }

    /// Whether it had to wait.
    fn pass(&self, closed: impl Fn(Breakpoint) -> bool) -> bool {
        let (mutex, opened) = &*self.state;
        let mut state = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = state.gate.is_some_and(&closed);
        if waits {
            state.waiting = true;
            drop(opened.wait_timeout_while(state, GATE, |state| state.gate.is_some_and(&closed)));
        }
        waits
    }

    fn carry_out(&self, action: &str) -> (u16, String) {
        let mut state = self.state.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.out_of_order {
            return (503, String::new());
        }
        state.calls.push((self.id.clone(), action.to_owned()));
        let mine = state.holder.as_ref() == Some(&self.id);
        match action {
            "DescribeVolumes" => (200, describe(state.holder.as_deref())),
            "AttachVolume" if state.holder.is_some() => {
                (400, error("VolumeInUse", "is already attached to an instance"))
            }
            "AttachVolume" => {
                state.holder = Some(self.id.clone());
                let links = state.links.get(&self.id);
                let linked = links.map(|links| symlink(&self.device, link(links)));
                (linked.map_or(500, |_| 200), String::new())
            }
            "DetachVolume" if mine => {
                state.holder = None;
                let _ = state.links.get(&self.id).map(|links| fs::remove_file(link(links)));
                (200, String::new())
            }
            _ => (400, error("IncorrectState", "it is not attached here")),
        }
    }
}

fn link(links: &Path) -> PathBuf {
    links.join(format!("nvme-Amazon_Elastic_Block_Store_{}", VOLUME.replace('-', "")))
}

fn describe(holder: Option<&str>) -> String {
    let item = holder.map(|id| format!("<item><instanceId>{id}</instanceId><status>attached</status></item>"));
    format!(
        "<DescribeVolumesResponse><volumeSet><item><volumeId>{VOLUME}</volumeId><attachmentSet>{}</attachmentSet></item>\
         </volumeSet></DescribeVolumesResponse>",
        item.unwrap_or_default()
    )
}

fn error(code: &str, message: &str) -> String {
    format!("<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>")
}

fn run(command: &mut Command) -> Result<String> {
    let output = wait::run(TOOL_SECONDS, command).context("a tool of the test")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
