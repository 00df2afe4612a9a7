//! Runs a bake: syncs a node without authority, stops it cleanly, removes its keys, and certifies the data.
//!
//! The node runs under the same supervisor and is judged by the same core as in production. What is different is what runs
//! ([`derive_config`](super::derive_config)), and when the sync is complete ([`sync_gate`](super::sync_gate)).

use std::pin::pin;

use anyhow::{Context as _, bail, ensure};
use strum::VariantArray as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{info, warn};

use agent_chaindata::certificate::{Certificate, remove_certificate, remove_partial_certificate};
use agent_chaindata::lock::lock_data_dir;
use agent_chaindata::scrub;
use agent_config::Config;
use agent_core::event::{Chain, Command, Container, Exit};
use agent_core::exit_diagnosis;
use agent_core::machine::{AGENT_STOP_MARGIN, Phase};
use agent_core::units::rounded_duration;
use agent_daemon::api;
use agent_daemon::state;
use agent_daemon::supervisor;
use agent_docker::Docker;

use super::BakeOptions;
use super::certify::{certify, write_certificate};
use super::derive_config::derive_config;
use super::progress_marks::ProgressMarks;
use super::sync::{describe_sync, wait_for_sync};

/// Bakes the data directory of `config`. Returns the certificate once it is written.
///
/// After an error there is no certificate. The data stays, and the next bake resumes from it.
pub(super) async fn run_bake(config: &Config, options: BakeOptions) -> anyhow::Result<Certificate> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let _agent = state::lock(&config.agent.state_dir)?;
    let _data = lock_data_dir(&config.agent.state_dir, &config.data.path)?;
    let derived = derive_config(config, options.within)?;
    let docker = Docker::new(&derived).context("failed to set up the docker client")?;
    let marks = ProgressMarks::new(config);
    prepare_data(config, &marks, &docker).await?;
    for chain in Chain::VARIANTS
        .iter()
        .filter(|chain| !config.chains.contains_key(chain))
    {
        warn!(
            "the {name} is neither watched nor certified: there is no [chains.{name}]",
            name = chain.into_str()
        );
    }
    info!(container = derived.collator.container, data = %config.data.path.display(), ?options, "bake started");

    let ((send_handle, handle), (finish, finished)) = (oneshot::channel(), oneshot::channel::<()>());
    let ended = async move { drop(finished.await) };
    let mut given_up = pin!(async {
        tokio::select! {
            _ = terminate.recv() => "stopped by a signal".to_owned(),
            _ = interrupt.recv() => "interrupted".to_owned(),
            _ = hangup.recv() => "its terminal closed".to_owned(),
            () = tokio::time::sleep(options.deadline) =>
                format!("the deadline of {} passed", rounded_duration(options.deadline.as_secs())),
        }
    });
    let supervised = supervisor::supervise(derived.clone(), ended, |handle| drop(send_handle.send(handle)));
    let work = async {
        let handle: api::Handle = handle.await.context("the supervisor ended")?;
        let synced = tokio::select! {
            synced = wait_for_sync(&handle, &derived, options) => synced,
            why = &mut given_up => Err(anyhow::anyhow!("{why}; {}; the node is stopped, a next bake goes on", describe_sync(&handle))),
        };
        let exit = stop_node(&handle, &derived).await;
        drop(finish);
        // The reason for giving up comes before how the node then ended.
        let snapshot = synced?;
        exit.and_then(|exit| ensure_clean_exit(&exit))?;
        Ok::<_, anyhow::Error>(snapshot)
    };
    let (supervised, worked) = tokio::join!(supervised, work);
    // In any case: Docker's own policy may be about to start the node again.
    let stopped = docker.stop().await.context("the node may still run");
    let damage = marks.read_log(&docker).await;
    // Damage comes before how the run ended, whose remedy would be another start.
    if let Ok(Some(line)) = &damage {
        bail!("the node's log reports a damaged database, so nothing is certified: {line}");
    }
    supervised?;
    let snapshot = worked?;
    stopped?;
    damage?;
    // Before the certificate, because after an error there may be none.
    docker.discard().await.context("the node's container stays")?;
    let certificate = tokio::select! {
        certificate = certify(config, snapshot) => certificate?,
        // The thread that reads ends with the process.
        why = given_up => bail!("{why} while every file was looked at, so nothing is certified; a next bake goes on"),
    };
    write_certificate(config.data.path.clone(), certificate.clone()).await?;
    if let Err(error) = marks.remove() {
        warn!("certified; what the bake noted stays, remove it: {error:#}");
    }
    info!(at = %certificate.at, files = certificate.tree.files, bytes = certificate.tree.bytes, "certified");
    Ok(certificate)
}

/// Checks that this host may bake, and removes the certificate of an earlier bake.
async fn prepare_data(config: &Config, marks: &ProgressMarks, docker: &Docker) -> anyhow::Result<()> {
    let others = docker.others_on_data().await?;
    ensure!(
        others.is_empty(),
        "{} has the data directory {}; a bake is for a fresh host: remove the container (docker rm), or name another data.path",
        others.join(", "),
        config.data.path.display()
    );
    if let Container::Exited { .. } = docker.inspect().await?.container {
        // Its log belongs to another bake, and perhaps to other data. A bake that was killed has not read it: its verdict is
        // recorded first, and counts as long as that data is there.
        if marks.is_unfinished() {
            marks.read_log(docker).await?;
        }
        docker.discard().await?;
    }
    let (marks, data) = (marks.clone(), config.data.path.clone());
    let prepare = move || {
        let place = data.display();
        remove_partial_certificate(&data).with_context(|| format!("cannot look at {place}"))?;
        scrub::ensure_no_keys(&data, marks.is_resumed()?)?;
        marks.begin()?;
        remove_certificate(&data).with_context(|| format!("cannot remove the old certificate in {place}"))
    };
    tokio::task::spawn_blocking(prepare).await?
}

/// Stops the node as an operator would. Returns its exit.
async fn stop_node(handle: &api::Handle, config: &Config) -> anyhow::Result<Exit> {
    let (reply, answer) = oneshot::channel();
    let command = Command::STOP;
    let asked = handle.commands.send(api::CommandRequest { command, reply }).await;
    asked.context("the supervisor ended")?;
    info!("stopping the node");
    drop(answer.await);
    let mut snapshots = handle.snapshot.clone();
    let down = snapshots.wait_for(|s| s.running == Some(false) && s.status.phase == Some(Phase::Stopped));
    let limit = config.collator.stop_timeout + AGENT_STOP_MARGIN;
    timeout(limit, down)
        .await
        .with_context(|| format!("the node still runs after {}", rounded_duration(limit.as_secs())))?
        .context("the supervisor ended")?;
    match handle.docker.inspect().await?.container {
        Container::Exited { exit, .. } => Ok(exit),
        other => bail!("the node's container is not stopped but {other:?}; bake again"),
    }
}

/// Fails unless the node ended cleanly, so that its database is complete.
fn ensure_clean_exit(exit: &Exit) -> anyhow::Result<()> {
    ensure!(
        exit.code == Some(0),
        "the node did not end cleanly but with exit code {}, so nothing is certified: look at its log (docker logs) \
         or raise collator.stop_timeout, and bake again",
        exit.code.map_or_else(|| "unknown".to_owned(), |code| code.to_string())
    );
    if let Some(cause) = exit_diagnosis::damage(&exit.log) {
        bail!(
            "the node ended with code 0, but its last lines tell of {}, so nothing is certified: look at its log \
             (docker logs), begin from good data, and bake again",
            cause.into_str()
        );
    }
    Ok(())
}
