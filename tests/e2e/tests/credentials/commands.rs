//! Commands that use the network by themselves: snapshots and replays.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::agent::binary;
use t0rn_agent_tests::credentials::CredentialRecorder;
use t0rn_agent_tests::ec2::{ACCESS_KEY, Ec2Emulator, SECRET_KEY, SESSION, TOKEN};
use t0rn_agent_tests::fakes::DnsServer;
use t0rn_agent_tests::recording::{Reply, start};
use t0rn_agent_tests::s3::S3Server;
use t0rn_agent_tests::wait::run;
use t0rn_agent_tests::webhook::NAME;
use tempfile::TempDir;

use crate::{address, never_asked, stranger};

/// Of the environment, for one store.
const STORE: [&str; 3] = ["AKIDOFTHESTORE", "secret-key-of-the-store", "session-of-the-store"];
const LOGIN: &str = "word-of-the-origin";
const SIGNATURE: &str = "signature-of-the-link";
const TICKET: &str = "ticket-of-the-mirror";
const PROMETHEUS: [&str; 2] = ["word-of-prometheus", "key-in-the-prefix"];
const PROXY: &str = "word-of-the-proxy";

/// A host with data, whose names are all 127.0.0.1, and which trusts the tests' certificate.
struct Host {
    dir: TempDir,
    resolver: DnsServer,
}

impl Host {
    fn new(imds: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let place = dir.path().display();
        let database = dir.path().join("data/chains/t0rn/db/full");
        fs::create_dir_all(&database)?;
        fs::write(database.join("CURRENT"), "MANIFEST-1\n")?;
        let config = format!(
            "[agent]\nstate_dir = \"{place}/state\"\nsocket = \"{place}/agent.sock\"\ndocker = \"{place}/docker.sock\"\n\
             [collator]\nimage = \"example.org/collator:1\"\n[data]\npath = \"{place}/data\"\n[ec2]\nimds = \"{imds}\"\n"
        );
        fs::write(dir.path().join("agent.toml"), config)?;
        Ok(Self {
            dir,
            resolver: DnsServer::start()?,
        })
    }

    fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Result<Output> {
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "sh",
                "-c",
                r#"mount --bind "$0" /etc/resolv.conf && exec "$@""#,
            ])
            .arg(self.resolver.resolv_conf())
            .arg(binary()?)
            .arg("--config")
            .arg(self.dir.path().join("agent.toml"))
            .args(args)
            .env("SSL_CERT_FILE", certificate())
            .envs(env.iter().copied());
        run(60, &mut command)
    }

    fn done(&self, args: &[&str], env: &[(&str, &str)]) -> Result<()> {
        let output = self.run(args, env)?;
        ensure!(output.status.success(), "{args:?}: {output:?}");
        Ok(())
    }

    /// What has to fail, with these words among what it says.
    fn refused(&self, args: &[&str], env: &[(&str, &str)], words: &str) -> Result<()> {
        let output = self.run(args, env)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success() && said.contains(words), "{args:?}: {output:?}");
        Ok(())
    }
}

/// The certificate of [`NAME`].
fn certificate() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../localhost.pem")
}

#[test]
fn snapshots_bring_each_store_its_own_credentials_alone() -> Result<()> {
    let planted = [STORE[0], STORE[1], STORE[2], ACCESS_KEY, SECRET_KEY, SESSION, TOKEN];
    let recorder = CredentialRecorder::new(&planted)?;
    let ec2 = Ec2Emulator::recorded(address(1), &recorder)?;
    let store = S3Server::recorded("store", address(2), &recorder)?;
    let of_role = S3Server::recorded("store of the role", address(3), &recorder)?;
    let stranger = stranger(&recorder, 4)?;
    let host = Host::new(&ec2.url())?;
    let env = |url| {
        [
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ENDPOINT_URL_S3", url),
            ("AWS_ACCESS_KEY_ID", STORE[0]),
            ("AWS_SECRET_ACCESS_KEY", STORE[1]),
            ("AWS_SESSION_TOKEN", STORE[2]),
        ]
    };
    let place = "s3://bucket/chain.tar.zst";
    for (server, given) in [(&store, 5), (&of_role, 2)] {
        let env = &env(&server.url)[..given];
        host.done(&["snapshot", "create", "--to", place], env)?;
        host.done(&["snapshot", "verify", place], env)?;
        host.done(&["snapshot", "restore", place], env)?;
        server.store().moved_to = Some(format!("http://{stranger}"));
        host.refused(&["snapshot", "verify", place], env, "307")?;
        host.refused(&["snapshot", "create", "--to", "s3://bucket/other"], env, "307")?;
    }
    recorder.judge(&[
        ("metadata", &[TOKEN]),
        ("store", &[STORE[0], STORE[2]]),
        ("store of the role", &[ACCESS_KEY, SESSION]),
    ])?;
    never_asked(&recorder, &["stranger", "api"])
}

#[test]
fn download_that_is_led_elsewhere_leaves_its_login_behind() -> Result<()> {
    let recorder = CredentialRecorder::new(&[LOGIN, SIGNATURE, TICKET, PROXY])?;
    let maker = Host::new("http://127.0.0.1:1")?;
    let file = maker.dir.path().join("chain.tar.zst");
    let file = file.to_str().context("a path")?;
    maker.done(&["snapshot", "create", "--to", file], &[])?;
    let bytes = Reply::Bytes(Arc::new(fs::read(file)?));

    let mirror = start(&recorder, "mirror", address(11), false, bytes.clone())?;
    let stranger = stranger(&recorder, 13)?;
    let host = Host::new("http://127.0.0.1:1")?;
    let to = |scheme: &str, place: &str| Reply::Redirect(302, format!("{scheme}://{place}/chain?signature={TICKET}"));
    let secure = |port: u16| format!("{NAME}:{port}");

    let origin = start(&recorder, "origin", address(14), false, to("http", &mirror.to_string()))?;
    let link = |at: &str| format!("{at}/chain.tar.zst?signature={SIGNATURE}");
    let url = link(&format!("http://fetcher:{LOGIN}@{origin}"));
    host.done(&["snapshot", "restore", &url], &[])?;
    host.done(&["snapshot", "verify", &url], &[])?;

    // The names of the tests' certificate are all 127.0.0.1.
    let local = Ipv4Addr::LOCALHOST;
    let secure_mirror = start(&recorder, "secure mirror", local, true, bytes)?;
    let next = to("https", &secure(secure_mirror.port()));
    let secure_origin = start(&recorder, "secure origin", local, true, next)?;
    let url = link(&format!("https://fetcher:{LOGIN}@{}", secure(secure_origin.port())));
    host.done(&["snapshot", "verify", &url], &[])?;

    let downgrading = start(
        &recorder,
        "downgrading origin",
        local,
        true,
        to("http", &stranger.to_string()),
    )?;
    let url = link(&format!("https://fetcher:{LOGIN}@{}", secure(downgrading.port())));
    host.refused(&["snapshot", "verify", &url], &[], "from https to http")?;

    let proxy = start(&recorder, "proxy", address(15), false, Reply::Text(502, String::new()))?;
    let through = format!("http://agent:{PROXY}@{proxy}");
    let url = link(&format!("https://fetcher:{LOGIN}@snapshots.example.org"));
    host.refused(&["snapshot", "verify", &url], &[("HTTPS_PROXY", &through)], "")?;

    recorder.judge(&[
        ("origin", &[LOGIN, SIGNATURE]),
        ("mirror", &[TICKET]),
        ("secure origin", &[LOGIN, SIGNATURE]),
        ("secure mirror", &[TICKET]),
        ("downgrading origin", &[LOGIN, SIGNATURE]),
        ("proxy", &[PROXY]),
    ])?;
    never_asked(&recorder, &["stranger"])
}

#[test]
fn replay_brings_prometheus_its_password_and_follows_no_redirect() -> Result<()> {
    let recorder = CredentialRecorder::new(&PROMETHEUS)?;
    let [word, key] = PROMETHEUS;
    let stranger = stranger(&recorder, 21)?;
    let host = Host::new("http://127.0.0.1:1")?;
    let none = Reply::Text(200, r#"{"status": "success", "data": []}"#.to_owned());
    let server = start(&recorder, "prometheus", address(22), false, none)?;
    let moved = Reply::Redirect(302, format!("http://{stranger}*"));
    let moved = start(&recorder, "moved prometheus", address(23), false, moved)?;
    for (server, words) in [(server, ""), (moved, "sends us on")] {
        let from = format!("http://reader:{word}@{server}/{key}");
        host.refused(&["replay", "--from-prometheus", &from, "--since", "1h"], &[], words)?;
    }
    recorder.judge(&[("prometheus", &PROMETHEUS), ("moved prometheus", &PROMETHEUS)])?;
    never_asked(&recorder, &["stranger"])
}
