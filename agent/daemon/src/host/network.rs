//! Probe of the host's network: a default route, and a resolver that answers.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::UdpSocket;

use agent_runtime::disk::{self, Disk};

/// Limit of a resolver's answer; the query is repeated after half of it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Most resolvers that are queried, as in the C library.
const MOST_SERVERS: usize = 3;

/// Most bytes of a file that are read.
const LARGEST: u64 = 1 << 20;

/// Files and limits of the probe.
#[derive(Debug, Clone)]
pub(super) struct NetworkProbe {
    route: PathBuf,
    route6: PathBuf,
    resolv_conf: PathBuf,
    /// The resolvers behind systemd's stub, which itself answers when the network is down.
    behind_stub: PathBuf,
    port: u16,
    timeout: Duration,
}

impl Default for NetworkProbe {
    fn default() -> Self {
        Self {
            route: "/proc/net/route".into(),
            route6: "/proc/net/ipv6_route".into(),
            resolv_conf: "/etc/resolv.conf".into(),
            behind_stub: "/run/systemd/resolve/resolv.conf".into(),
            port: 53,
            timeout: TIMEOUT,
        }
    }
}

impl NetworkProbe {
    /// False without a default route, or when no resolver answers within two seconds; or why it is unknown.
    pub(super) async fn works(&self) -> Result<bool, &'static str> {
        let probe = self.clone();
        let read = disk::run(Disk::System, move || (probe.has_default_route(), probe.resolvers()));
        let (has_default_route, servers) = read.await.map_err(|_| "the system disk does not answer")?;
        if !has_default_route.ok_or("the kernel shows no routes in /proc/net")? {
            return Ok(false);
        }
        if servers.is_empty() {
            return Err("no resolver is configured in /etc/resolv.conf");
        }
        let mut asked: FuturesUnordered<_> = servers.into_iter().map(|server| self.answers(server)).collect();
        while let Some(answered) = asked.next().await {
            if answered {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn has_default_route(&self) -> Option<bool> {
        let (v4, v6) = (read(&self.route), read(&self.route6));
        if v4.is_none() && v6.is_none() {
            return None;
        }
        let v4 = v4.is_some_and(|table| table.lines().any(is_default));
        let v6 = v6.is_some_and(|table| table.lines().any(is_default6));
        Some(v4 || v6)
    }

    fn resolvers(&self) -> Vec<IpAddr> {
        let servers = nameservers(&read(&self.resolv_conf).unwrap_or_default());
        let is_stub = |server: &IpAddr| matches!(server, IpAddr::V4(v4) if v4.octets() == [127, 0, 0, 53]);
        if servers.iter().all(is_stub) {
            let behind = nameservers(&read(&self.behind_stub).unwrap_or_default());
            if !behind.is_empty() {
                return behind;
            }
        }
        servers
    }

    /// Whether the resolver answers at all.
    async fn answers(&self, server: IpAddr) -> bool {
        let id = RandomState::new().hash_one(server).to_be_bytes();
        // One question: the name servers (2) of the root, class internet (1), recursion desired.
        let query = [id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
        let ask = async || {
            let local: IpAddr = match server {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let socket = UdpSocket::bind(SocketAddr::new(local, 0)).await?;
            socket.connect(SocketAddr::new(server, self.port)).await?;
            socket.send(&query).await?;
            let mut packet = [0; 512];
            loop {
                let length = socket.recv(&mut packet).await?;
                // Anything else answers another query.
                if length >= 12 && packet[..2] == id[..2] && packet[2] & 0x80 != 0 {
                    let (server_failure, refused) = (2, 5);
                    let code = packet[3] & 0xf;
                    // A resolver on this host returns these codes itself when it has no upstream.
                    return Ok(!(server.is_loopback() && (code == server_failure || code == refused)));
                }
            }
        };
        for _ in 0..2 {
            let answered: Result<std::io::Result<bool>, _> = tokio::time::timeout(self.timeout / 2, ask()).await;
            if matches!(answered, Ok(Ok(true))) {
                return true;
            }
        }
        false
    }

    /// An unknown host: files that do not exist, in `nowhere`.
    #[cfg(test)]
    pub(super) fn unknown(nowhere: &Path) -> Self {
        let file = |name| nowhere.join(name);
        Self {
            route: file("route"),
            route6: file("ipv6_route"),
            resolv_conf: file("resolv.conf"),
            behind_stub: file("behind.conf"),
            ..Self::default()
        }
    }
}

/// The file's text, up to [`LARGEST`]; `None` when it cannot be read.
#[expect(clippy::disallowed_methods, reason = "part of a job for the system disk")]
fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Flags of a route, as the kernel shows them.
fn is_usable(flags: &str) -> bool {
    const UP: u32 = 0x1;
    const REJECT: u32 = 0x200;
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & UP != 0 && flags & REJECT == 0)
}

/// A line of `/proc/net/route`: interface, destination, gateway, flags, …, the mask in the eighth column.
pub(crate) fn is_default(line: &str) -> bool {
    let columns: Vec<&str> = line.split_ascii_whitespace().collect();
    matches!(columns[..], [_, "00000000", _, flags, _, _, _, "00000000", ..] if is_usable(flags))
}

/// A line of `/proc/net/ipv6_route`: destination, its length, …, flags, interface.
pub(crate) fn is_default6(line: &str) -> bool {
    let columns: Vec<&str> = line.split_ascii_whitespace().collect();
    match columns[..] {
        [destination, "00", _, _, _, _, _, _, flags, interface] => {
            destination.bytes().all(|b| b == b'0') && interface != "lo" && is_usable(flags)
        }
        _ => false,
    }
}

/// The servers of a resolv.conf that have a plain address.
pub(crate) fn nameservers(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        line.trim()
            .strip_prefix("nameserver")?
            .split_ascii_whitespace()
            .next()?
            .parse()
            .ok()
    };
    text.lines().filter_map(server).take(MOST_SERVERS).collect()
}

#[cfg(test)]
mod tests;
