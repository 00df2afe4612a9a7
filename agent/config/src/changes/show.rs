//! Values of the configuration as text.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_core::notification::NotifyFormat;
use agent_core::units::{show_duration, show_size};

use crate::types::{BindMount, PublishedPort};

/// A value as text that no other value has.
pub(super) trait Show {
    fn show(&self) -> Option<String>;
}

/// Bytes.
pub(super) struct Size(pub(super) u64);

impl Show for Size {
    fn show(&self) -> Option<String> {
        Some(show_size(self.0))
    }
}

impl Show for Duration {
    fn show(&self) -> Option<String> {
        Some(show_duration(*self))
    }
}

impl Show for Path {
    fn show(&self) -> Option<String> {
        Some(self.display().to_string())
    }
}

impl Show for PathBuf {
    fn show(&self) -> Option<String> {
        self.as_path().show()
    }
}

impl Show for str {
    fn show(&self) -> Option<String> {
        Some(self.to_owned())
    }
}

impl Show for String {
    fn show(&self) -> Option<String> {
        self.as_str().show()
    }
}

impl Show for Vec<String> {
    fn show(&self) -> Option<String> {
        Some(list(self, |text| format!("{text:?}")))
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self) -> Option<String> {
        self.as_ref().and_then(Show::show)
    }
}

macro_rules! show_by_display {
    ($($t:ty),*) => {
        $(impl Show for $t {
            fn show(&self) -> Option<String> {
                Some(self.to_string())
            }
        })*
    };
}
show_by_display!(bool, u8, u32, u64);

pub(super) fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", "))
}

pub(super) fn port(port: &PublishedPort) -> String {
    let address = port.address.map(|address| match address {
        IpAddr::V4(address) => format!("{address}:"),
        IpAddr::V6(address) => format!("[{address}]:"),
    });
    format!(
        "{}{}:{}/{}",
        address.unwrap_or_default(),
        port.host,
        port.container,
        port.protocol
    )
}

pub(super) fn mount(mount: &BindMount) -> String {
    let mode = if mount.read_only { " (read only)" } else { "" };
    format!("{} at {}{mode}", mount.source.display(), mount.target.display())
}

pub(super) fn notify_format(format: NotifyFormat) -> String {
    match format {
        NotifyFormat::Json => "json",
        NotifyFormat::Slack => "slack",
        NotifyFormat::Discord => "discord",
        NotifyFormat::Telegram => "telegram",
    }
    .to_owned()
}
