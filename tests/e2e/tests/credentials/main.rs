//! Every service records the credentials that it is sent, by the daemon and by each command: none that is not its own.

mod commands;
mod daemon;

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Result, ensure};
use t0rn_agent_tests::credentials::CredentialRecorder;
use t0rn_agent_tests::recording::{Reply, start};

/// An address of this host for each service, so that each is another host.
fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 78, 0, number)
}

/// Whom redirects lead to, and who is never to be asked.
fn stranger(recorder: &CredentialRecorder, number: u8) -> Result<SocketAddr> {
    start(
        recorder,
        "stranger",
        address(number),
        false,
        Reply::Text(200, "{}".to_owned()),
    )
}

fn never_asked(recorder: &CredentialRecorder, services: &[&str]) -> Result<()> {
    for service in services {
        let sent = recorder.sent_to(service);
        ensure!(sent.is_none(), "{service} was asked, and sent {sent:?}");
    }
    Ok(())
}
