//! Whether the host's own network works: it has a default route, and a resolver answers.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::UdpSocket;

/// How long a resolver may take; the question is asked again half way.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How many of the configured resolvers are asked, as in the C library.
const MOST_SERVERS: usize = 3;

/// Most that is read of a file, bytes.
const LARGEST: u64 = 1 << 20;

/// Where to look.
#[derive(Debug, Clone)]
pub(super) struct Network {
    route: PathBuf,
    route6: PathBuf,
    resolv_conf: PathBuf,
    /// The resolvers behind systemd's stub, which answers by itself when the network is down.
    behind_stub: PathBuf,
    port: u16,
    timeout: Duration,
}

impl Default for Network {
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

impl Network {
    /// `Some(false)` without a default route, or when no resolver answers within two seconds; `None` when
    /// that cannot be told, since the kernel shows no routes or no resolver is configured.
    pub(super) async fn works(&self) -> Option<bool> {
        if !self.has_default_route()? {
            return Some(false);
        }
        let servers = self.resolvers();
        if servers.is_empty() {
            return None;
        }
        let mut asked: FuturesUnordered<_> = servers.into_iter().map(|server| self.answers(server)).collect();
        while let Some(answered) = asked.next().await {
            if answered {
                return Some(true);
            }
        }
        Some(false)
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

    /// Whether the resolver answers anything at all.
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
                // Anything else is an answer to somebody else's question.
                if length >= 12 && packet[..2] == id[..2] && packet[2] & 0x80 != 0 {
                    let (server_failure, refused) = (2, 5);
                    let code = packet[3] & 0xf;
                    // A resolver on this host says so by itself when it is cut off from the others.
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

    /// A host of which nothing is known: files that are not there, in `nowhere`.
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

/// The file's text, as far as it is read; `None` when it cannot be.
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
fn is_default(line: &str) -> bool {
    let columns: Vec<&str> = line.split_ascii_whitespace().collect();
    matches!(columns[..], [_, "00000000", _, flags, _, _, _, "00000000", ..] if is_usable(flags))
}

/// A line of `/proc/net/ipv6_route`: destination, its length, …, flags, interface.
fn is_default6(line: &str) -> bool {
    let columns: Vec<&str> = line.split_ascii_whitespace().collect();
    match columns[..] {
        [destination, "00", _, _, _, _, _, _, flags, interface] => {
            destination.bytes().all(|b| b == b'0') && interface != "lo" && is_usable(flags)
        }
        _ => false,
    }
}

/// The servers of a resolv.conf that can be asked by address alone.
fn nameservers(text: &str) -> Vec<IpAddr> {
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
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should panic")]

    use super::*;

    const ROUTE: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                         eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    const DEFAULT: &str = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";

    /// A host with these files, and a resolver on loopback that answers each question with `code`, if any.
    struct Setting {
        network: Network,
        _dir: tempfile::TempDir,
    }

    async fn setting(route: &str, resolv_conf: &str, code: Option<u8>) -> Setting {
        let dir = tempfile::tempdir().unwrap();
        let resolver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = resolver.local_addr().unwrap().port();
        let network = Network {
            port,
            ..Network::unknown(dir.path())
        };
        std::fs::write(&network.route, route).unwrap();
        std::fs::write(&network.resolv_conf, resolv_conf).unwrap();
        tokio::spawn(async move {
            loop {
                let mut packet = [0; 512];
                let (length, asker) = resolver.recv_from(&mut packet).await.unwrap();
                assert_eq!(packet[2..length], [1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]);
                // An answer to another question comes first.
                let foreign = [packet[0] ^ 1, packet[1], 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 0];
                resolver.send_to(&foreign, asker).await.unwrap();
                if let Some(code) = code {
                    (packet[2], packet[3]) = (0x81, 0x80 | code);
                    resolver.send_to(&packet[..length], asker).await.unwrap();
                }
            }
        });
        Setting { network, _dir: dir }
    }

    async fn works(route: &str, resolv_conf: &str, code: Option<u8>) -> Option<bool> {
        setting(route, resolv_conf, code).await.network.works().await
    }

    #[tokio::test]
    async fn a_default_route_and_a_resolver_that_answers_are_a_network() {
        let route = format!("{ROUTE}{DEFAULT}");
        for code in [0, 3] {
            assert_eq!(
                works(&route, "search x\nnameserver 127.0.0.1\n", Some(code)).await,
                Some(true)
            );
        }
    }

    #[tokio::test]
    async fn without_a_default_route_there_is_no_network() {
        let rejecting = DEFAULT.replace("0003", "0203");
        for route in [ROUTE.to_owned(), format!("{ROUTE}{rejecting}")] {
            assert_eq!(works(&route, "nameserver 127.0.0.1\n", Some(0)).await, Some(false));
        }
    }

    #[tokio::test]
    async fn a_resolver_that_is_silent_is_no_network() {
        let Setting { mut network, _dir } = setting(DEFAULT, "nameserver 127.0.0.1\n", None).await;
        network.timeout = Duration::from_millis(20);
        assert_eq!(network.works().await, Some(false));
    }

    #[tokio::test]
    async fn a_resolver_of_this_host_that_is_cut_off_is_no_network() {
        for code in [2, 5] {
            assert_eq!(works(DEFAULT, "nameserver 127.0.0.1\n", Some(code)).await, Some(false));
        }
    }

    #[tokio::test]
    async fn one_resolver_that_answers_is_enough() {
        // Nothing listens on the second address: the kernel says so at once.
        assert_eq!(
            works(DEFAULT, "nameserver 127.0.0.2\nnameserver 127.0.0.1\n", Some(0)).await,
            Some(true)
        );
    }

    #[tokio::test]
    async fn without_resolvers_or_routes_the_network_is_unknown() {
        for resolv_conf in ["", "# nameserver 127.0.0.1\nnameserver\nnameserver fe80::1%eth0\n"] {
            assert_eq!(works(DEFAULT, resolv_conf, Some(0)).await, None);
        }
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Network::unknown(dir.path()).works().await, None);
    }

    #[tokio::test]
    async fn behind_the_stub_the_real_resolvers_are_asked() {
        let Setting { network, _dir } = setting(DEFAULT, "nameserver 127.0.0.53\n", Some(0)).await;
        assert_eq!(network.works().await, Some(false));
        std::fs::write(&network.behind_stub, "nameserver 127.0.0.1\n").unwrap();
        assert_eq!(network.works().await, Some(true));
    }

    #[tokio::test]
    async fn a_default_route_of_ipv6_alone_is_enough() {
        let Setting { network, _dir } = setting(ROUTE, "nameserver 127.0.0.1\n", Some(0)).await;
        let zero = "0".repeat(32);
        let line = |flags: &str, interface: &str| {
            format!(
                "{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 {flags} {interface}\n"
            )
        };
        for (lines, works) in [
            (line("00200200", "lo"), Some(false)),
            (line("00000203", "eth0"), Some(false)),
            (line("00200200", "lo") + &line("00000003", "eth0"), Some(true)),
        ] {
            std::fs::write(&network.route6, lines).unwrap();
            assert_eq!(network.works().await, works);
        }
    }

    #[tokio::test]
    async fn binary_garbage_in_the_files_is_no_network_and_no_panic() {
        assert_eq!(
            works("\u{0}\u{1}x y z\n00000000 00 00\n", "\u{0}nameserver\n", Some(0)).await,
            Some(false)
        );
    }
}
