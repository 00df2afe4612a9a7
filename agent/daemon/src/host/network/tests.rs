#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

use super::*;

const ROUTE: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                     eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
const DEFAULT: &str = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";

/// A host with these files, and a resolver on loopback that answers each question with `code`, if any.
struct Setting {
    network: NetworkProbe,
    _dir: tempfile::TempDir,
}

async fn setting(route: &str, resolv_conf: &str, code: Option<u8>) -> Setting {
    let dir = tempfile::tempdir().unwrap();
    let resolver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = resolver.local_addr().unwrap().port();
    let network = NetworkProbe {
        port,
        ..NetworkProbe::unknown(dir.path())
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
    setting(route, resolv_conf, code).await.network.works().await.ok()
}

#[tokio::test]
async fn default_route_and_a_resolver_that_answers_are_a_network() {
    let route = format!("{ROUTE}{DEFAULT}");
    for code in [0, 3] {
        assert_eq!(
            works(&route, "search x\nnameserver 127.0.0.1\n", Some(code)).await,
            Some(true)
        );
    }
}

#[tokio::test]
async fn missing_default_route_is_no_network() {
    let rejecting = DEFAULT.replace("0003", "0203");
    for route in [ROUTE.to_owned(), format!("{ROUTE}{rejecting}")] {
        assert_eq!(works(&route, "nameserver 127.0.0.1\n", Some(0)).await, Some(false));
    }
}

#[tokio::test]
async fn silent_resolver_is_no_network() {
    let Setting { mut network, _dir } = setting(DEFAULT, "nameserver 127.0.0.1\n", None).await;
    network.timeout = Duration::from_millis(20);
    assert_eq!(network.works().await, Ok(false));
}

#[tokio::test]
async fn local_resolver_without_upstream_is_no_network() {
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
async fn missing_resolvers_or_routes_are_unknown() {
    for resolv_conf in ["", "# nameserver 127.0.0.1\nnameserver\nnameserver fe80::1%eth0\n"] {
        let Setting { network, _dir } = setting(DEFAULT, resolv_conf, Some(0)).await;
        let unknown = network.works().await;
        assert_eq!(
            unknown,
            Err("no resolver is configured in /etc/resolv.conf"),
            "{resolv_conf}"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let unknown = NetworkProbe::unknown(dir.path()).works().await;
    assert_eq!(unknown, Err("the kernel shows no routes in /proc/net"));
}

#[tokio::test]
async fn stub_resolver_is_replaced_by_its_upstream_resolvers() {
    let Setting { network, _dir } = setting(DEFAULT, "nameserver 127.0.0.53\n", Some(0)).await;
    assert_eq!(network.works().await, Ok(false));
    std::fs::write(&network.behind_stub, "nameserver 127.0.0.1\n").unwrap();
    assert_eq!(network.works().await, Ok(true));
}

#[tokio::test]
async fn default_route_of_ipv6_alone_is_enough() {
    let Setting { network, _dir } = setting(ROUTE, "nameserver 127.0.0.1\n", Some(0)).await;
    let zero = "0".repeat(32);
    let line = |flags: &str, interface: &str| {
        format!("{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 {flags} {interface}\n")
    };
    for (lines, works) in [
        (line("00200200", "lo"), Some(false)),
        (line("00000203", "eth0"), Some(false)),
        (line("00200200", "lo") + &line("00000003", "eth0"), Some(true)),
    ] {
        std::fs::write(&network.route6, lines).unwrap();
        assert_eq!(network.works().await.ok(), works);
    }
}

#[tokio::test]
async fn binary_garbage_in_the_files_is_no_network() {
    assert_eq!(
        works("\u{0}\u{1}x y z\n00000000 00 00\n", "\u{0}nameserver\n", Some(0)).await,
        Some(false)
    );
}
