#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket, sockopt};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A port of the IPv6 loopback whose backlog is full, so that the kernel drops connections. `None` without IPv6.
async fn dead_port() -> Option<(rustix::fd::OwnedFd, Vec<TcpStream>, u16)> {
    let deaf = socket(AddressFamily::INET6, SocketType::STREAM, None).ok()?;
    sockopt::set_ipv6_v6only(&deaf, true).unwrap();
    bind(&deaf, &SocketAddr::from((Ipv6Addr::LOCALHOST, 0))).ok()?;
    listen(&deaf, 0).unwrap();
    let address = SocketAddr::try_from(getsockname(&deaf).unwrap()).unwrap();
    let mut waiting = Vec::new();
    while let Ok(made) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        waiting.push(made.unwrap());
    }
    Some((deaf, waiting, address.port()))
}

#[tokio::test]
async fn dead_ipv6_address_falls_back_to_ipv4() {
    let Some((_deaf, _waiting, port)) = dead_port().await else {
        return;
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        fake::request(&mut stream).await.unwrap();
        stream.write_all(&fake::answer(200, "", b"here")).await.unwrap();
    });
    let url = Url::parse(&format!("http://hook.test:{port}/")).unwrap();
    let addresses = [(Ipv6Addr::LOCALHOST, 0).into(), (Ipv4Addr::LOCALHOST, 0).into()];
    let client = internet(&url, None).unwrap().no_proxy();
    let client = client.resolve_to_addrs("hook.test", &addresses).build().unwrap();
    let answer = client.get(url).timeout(Duration::from_secs(20)).send().await.unwrap();
    assert_eq!(text(answer, 100).await.unwrap(), "here");
}

#[tokio::test]
async fn body_over_its_cap_or_truncated_is_an_error() {
    let answers = [
        (fake::answer(200, "", b"12345"), "12345"),
        (fake::answer(200, "", b"123456"), "the answer is larger than 5 bytes"),
        (fake::answer(200, "", b"\xff"), "the answer is no text"),
        (
            b"HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\n1".to_vec(),
            "the answer broke off: ",
        ),
    ];
    for (answer, expected) in answers {
        let address = fake::serve(move |_, mut stream| {
            let answer = answer.clone();
            async move {
                fake::request(&mut stream).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        });
        let url = format!("http://{}/", address.await);
        let answer = local().unwrap().build().unwrap().get(url).send().await.unwrap();
        let read = text(answer, 5).await.unwrap_or_else(|error| error.to_string());
        assert!(read.starts_with(expected), "{read}");
    }
}

#[test]
fn innermost_cause_is_found_within_io_errors() {
    let inner = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
    let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, inner));
    assert!(causes(&error).any(<dyn Error>::is::<rustls::Error>));
    assert_eq!(innermost(&error), "invalid peer certificate: Expired");
    assert_eq!(io_kind(&error), Some(io::ErrorKind::InvalidData));
    assert_eq!(
        io_kind(&io::Error::from(io::ErrorKind::NotFound)),
        Some(io::ErrorKind::NotFound)
    );
}
