//! EC2: the volume, its attachments, and what the API says of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The volume's attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attached {
    Free,
    /// Until when it is under way.
    Attaching(String, u64),
    To(String),
    /// Asked for while it was mounted there: the volume is busy.
    Detaching(String),
}

pub(crate) struct Cloud {
    /// The present and former states, each with its beginning, for stale answers.
    history: Vec<(u64, Attached)>,
    /// The volume's content while nobody has it mounted.
    content: PathBuf,
    /// Where the content is.
    mounted_at: Option<PathBuf>,
    /// Who has it mounted.
    user: Option<String>,
}

impl Cloud {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            history: vec![(0, Attached::Free)],
            content: root.join("volume"),
            mounted_at: None,
            user: None,
        }
    }

    fn present(&self) -> &Attached {
        &self.history.last().unwrap().1
    }

    fn set(&mut self, now: u64, state: Attached) {
        self.history.push((now, state));
    }

    /// What an answer says that is `stale` ms old.
    pub(crate) fn as_of(&self, now: u64, stale: u64) -> &Attached {
        let then = now.saturating_sub(stale);
        let known = self.history.iter().rev().find(|(since, _)| *since <= then);
        &known.unwrap_or(&self.history[0]).1
    }

    /// What takes time is done.
    pub(crate) fn tick(&mut self, now: u64) {
        if let Attached::Attaching(instance, until) = self.present()
            && *until <= now
        {
            let instance = instance.clone();
            self.set(now, Attached::To(instance));
        }
    }

    /// Whether the device is there.
    pub(crate) fn is_plugged(&self, instance: &str) -> bool {
        matches!(self.present(), Attached::To(at) | Attached::Detaching(at) if at == instance)
    }

    pub(crate) fn attach(&mut self, instance: &str, now: u64, takes: u64) -> Result<(), &'static str> {
        match self.present() {
            Attached::Free => {
                self.set(now, Attached::Attaching(instance.to_owned(), now + takes));
                Ok(())
            }
            _ => Err("VolumeInUse"),
        }
    }

    /// Without force it takes effect when it is unmounted.
    pub(crate) fn detach(&mut self, instance: &str, now: u64) -> Result<(), &'static str> {
        match self.present() {
            Attached::To(at) if at == instance => {
                let next = if self.user.as_deref() == Some(instance) {
                    Attached::Detaching(instance.to_owned())
                } else {
                    Attached::Free
                };
                self.set(now, next);
                Ok(())
            }
            _ => Err("IncorrectState"),
        }
    }

    /// The device is torn off. Returns whether there was one.
    pub(crate) fn force_detach(&mut self, now: u64) -> bool {
        if matches!(self.present(), Attached::Free) {
            return false;
        }
        self.set(now, Attached::Free);
        self.user = None;
        if let Some(at) = self.mounted_at.take() {
            fs::rename(&at, &self.content).unwrap();
            // What is left of the mount answers nothing.
            fs::write(&at, "").unwrap();
        }
        true
    }

    pub(crate) fn mount(&mut self, at: &Path) -> io::Result<()> {
        if self.mounted_at.is_some() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        if at.is_dir() {
            fs::remove_dir(at)?;
        }
        fs::rename(&self.content, at)?;
        self.mounted_at = Some(at.to_owned());
        if let Attached::To(instance) | Attached::Detaching(instance) = self.present().clone() {
            self.user = Some(instance);
        }
        Ok(())
    }

    pub(crate) fn unmount(&mut self, at: &Path) {
        if self.mounted_at.as_deref() == Some(at) {
            fs::rename(at, &self.content).unwrap();
            self.mounted_at = None;
        } else if at.is_file() {
            fs::remove_file(at).unwrap();
        }
        if !at.exists() {
            fs::create_dir(at).unwrap();
        }
    }

    /// A detachment that waited for it takes place.
    pub(crate) fn unmounted(&mut self, instance: &str, now: u64) {
        if self.user.as_deref() == Some(instance) {
            self.user = None;
        }
        if *self.present() == Attached::Detaching(instance.to_owned()) {
            self.set(now, Attached::Free);
        }
    }

    /// The power of an instance is gone, and its mount with it; the attachment stays.
    pub(crate) fn power_lost(&mut self, instance: &str, at: &Path, now: u64) {
        if self.user.as_deref() == Some(instance) {
            self.unmount(at);
        } else if at.is_file() {
            fs::remove_file(at).unwrap();
            fs::create_dir(at).unwrap();
        }
        self.unmounted(instance, now);
    }
}
