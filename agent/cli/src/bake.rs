//! Bakes chain data for an image: syncs without authority until that is believed, stops cleanly, removes
//! every key, and certifies what is left.
//!
//! The node is run by the same supervisor and judged by the same core as in production; this room only
//! says what to run ([`plan`]), when it is enough ([`gate`]), and what may be left ([`agent_chaindata::scrub`]).

mod gate;
mod notes;
mod plan;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{info, warn};

use self::gate::{Gate, Outlook};
use self::notes::Notes;
use agent_chaindata::certificate::{self, BakedChain, BakedImage, BakedStop, Certificate};
use agent_chaindata::scrub;
use agent_chaindata::survey::{Survey, survey_data_dir};
use agent_config::Config;
use agent_core::event::{Chain, Command, Container, Exit};
use agent_core::exit_diagnosis;
use agent_core::machine::Phase;
use agent_core::published::Snapshot;
use agent_core::status::duration;
use agent_daemon::api;
use agent_daemon::state;
use agent_daemon::supervisor;
use agent_docker::Docker;

/// Between two lines of progress where no terminal is.
const PROGRESS: Duration = Duration::from_secs(30);
/// What stopping may take beyond the node's own time.
const STOP_MARGIN: Duration = Duration::from_mins(2);
/// Bit of `node_roles` that an authority has.
const AUTHORITY: u64 = 4;

/// When a bake is done, and when it is given up.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Blocks that each chain may be behind its target.
    pub within: u64,
    /// For how long without a break.
    pub credible: Duration,
    pub deadline: Duration,
}

/// Bakes the data directory of `config`, in the foreground. Returns the certificate once it is written.
///
/// Fails closed: after an error there is no certificate. The data stays, and the next bake goes on from it.
pub async fn run(config: &Config, options: Options) -> anyhow::Result<Certificate> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let _lock = state::lock(&config.agent.state_dir)?;
    let derived = plan::derive(config)?;
    let docker = Docker::new(&derived).context("failed to set up the docker client")?;
    let notes = Notes::new(config);
    begin(config, &notes, &docker).await?;
    for chain in Chain::ALL.iter().filter(|chain| !config.chains.contains_key(chain)) {
        warn!(
            "the {name} is neither watched nor certified: there is no [chains.{name}]",
            name = chain.name()
        );
    }
    info!(container = derived.collator.container, data = %config.data.path.display(), ?options, "bake started");

    let ((tell, told), (over, is_over)) = (oneshot::channel(), oneshot::channel::<()>());
    let ended = async move { drop(is_over.await) };
    let mut given_up = pin!(async {
        tokio::select! {
            _ = terminate.recv() => "stopped by a signal".to_owned(),
            _ = interrupt.recv() => "interrupted".to_owned(),
            _ = hangup.recv() => "its terminal closed".to_owned(),
            () = tokio::time::sleep(options.deadline) =>
                format!("the deadline of {} passed", duration(options.deadline.as_secs())),
        }
    });
    let supervised = supervisor::supervise(derived.clone(), ended, |handle| drop(tell.send(handle)));
    let work = async {
        let handle: api::Handle = told.await.context("the supervisor ended")?;
        let synced = tokio::select! {
            synced = sync(&handle, &derived, options) => synced,
            why = &mut given_up => Err(anyhow::anyhow!("{why}; {}; the node is stopped, a next bake goes on", where_it_is(&handle))),
        };
        let exit = stop(&handle, &derived).await;
        drop(over);
        // Why it is given up says more than how the node then ended.
        let snapshot = synced?;
        exit.and_then(|exit| prove(&exit))?;
        Ok::<_, anyhow::Error>(snapshot)
    };
    let (supervised, worked) = tokio::join!(supervised, work);
    // Whatever became of it: Docker's own policy may be about to start it once more.
    let stopped = docker.stop().await.context("the node may still run");
    let damage = notes.read_log(&docker).await;
    // Damage says more than how the run ended, whose cure would be another start.
    if let Ok(Some(line)) = &damage {
        bail!("the node's log tells of a damaged database, so nothing is certified: {line}");
    }
    supervised?;
    let snapshot = worked?;
    stopped?;
    damage?;
    // Before the certificate: after an error there is none.
    docker.discard().await.context("the node's container stays")?;
    let certificate = tokio::select! {
        certificate = certify(config, snapshot) => certificate?,
        // The process ends, and with it the thread that reads.
        why = given_up => bail!("{why} while every file was looked at, so nothing is certified; a next bake goes on"),
    };
    write(config.data.path.clone(), certificate.clone()).await?;
    if let Err(error) = notes.remove() {
        warn!("certified; what the bake noted stays, remove it: {error:#}");
    }
    info!(at = %certificate.at, files = certificate.tree.files, bytes = certificate.tree.bytes, "certified");
    Ok(certificate)
}

/// Looks whether the host may be baked on, and takes back what an earlier bake certified.
async fn begin(config: &Config, notes: &Notes, docker: &Docker) -> anyhow::Result<()> {
    let others = docker.others_on_data().await?;
    ensure!(
        others.is_empty(),
        "{} has the data directory {}; a bake is for a fresh host: remove the container (docker rm), or name another data.path",
        others.join(", "),
        config.data.path.display()
    );
    if let Container::Exited { .. } = docker.inspect().await?.container {
        // Its log is of another bake, and perhaps of other data. One that was killed has not read it: the verdict is noted
        // first, and counts as long as that data is there.
        if notes.is_unfinished() {
            notes.read_log(docker).await?;
        }
        docker.discard().await?;
    }
    let (notes, data) = (notes.clone(), config.data.path.clone());
    let prepare = move || {
        let place = data.display();
        certificate::remove_partial_certificate(&data).with_context(|| format!("cannot look at {place}"))?;
        scrub::ensure_no_keys(&data, notes.resumed()?)?;
        notes.begin()?;
        certificate::remove_certificate(&data).with_context(|| format!("cannot remove the old certificate in {place}"))
    };
    tokio::task::spawn_blocking(prepare).await?
}

/// Waits until the chains are in sync and that is believed. Returns what was known at that moment.
async fn sync(handle: &api::Handle, config: &Config, options: Options) -> anyhow::Result<Arc<Snapshot>> {
    let mut snapshots = handle.snapshot.clone();
    let mut gate = Gate::new(options.within, options.credible, config.chains.keys().copied());
    let mut show = Progress::default();
    loop {
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        let status = &snapshot.status;
        if let Some(Phase::Holding | Phase::Stopped) = status.phase {
            let reason = status.reasons.first().unwrap_or(&status.summary);
            bail!("{}", reason.replace("t0rn-agent start", "t0rn-agent bake"));
        }
        let authority = snapshot
            .nodes
            .iter()
            .find(|(_, node)| node.roles.is_some_and(|roles| roles & AUTHORITY != 0));
        if let Some((chain, _)) = authority {
            bail!(
                "the {} runs as an authority although its command asks for none: take that out of the image or collator.env",
                chain.name()
            );
        }
        let outlook = gate.see(Instant::now(), status);
        show.line(&snapshot, &outlook);
        match outlook {
            Outlook::Reached => {
                Progress::end();
                return Ok(snapshot);
            }
            Outlook::Hopeless => bail!(
                "the node never told how far it is: {}; mend that, and bake again",
                status.reasons.first().unwrap_or(&status.summary)
            ),
            Outlook::Not(_) | Outlook::For(_) => {}
        }
        snapshots.changed().await.context("the supervisor ended")?;
    }
}

fn where_it_is(handle: &api::Handle) -> String {
    let snapshot = handle.snapshot.borrow();
    let reasons = snapshot
        .status
        .reasons
        .first()
        .filter(|reason| **reason != snapshot.status.summary);
    let reason = reasons.map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{}{reason}", snapshot.status.summary)
}

/// Stops the node as an operator would. Returns how it ended.
async fn stop(handle: &api::Handle, config: &Config) -> anyhow::Result<Exit> {
    let (reply, answer) = oneshot::channel();
    let command = Command::Stop;
    let asked = handle.commands.send(api::Request { command, reply }).await;
    asked.context("the supervisor ended")?;
    info!("stopping the node");
    drop(answer.await);
    let mut snapshots = handle.snapshot.clone();
    let down = snapshots.wait_for(|s| s.running == Some(false) && s.status.phase == Some(Phase::Stopped));
    let limit = config.collator.stop_timeout + STOP_MARGIN;
    timeout(limit, down)
        .await
        .with_context(|| format!("the node still runs after {}", duration(limit.as_secs())))?
        .context("the supervisor ended")?;
    match handle.docker.inspect().await?.container {
        Container::Exited { exit, .. } => Ok(exit),
        other => bail!("the node's container is not stopped but {other:?}; bake again"),
    }
}

/// Fails unless the node ended as one ends whose database is whole.
fn prove(exit: &Exit) -> anyhow::Result<()> {
    ensure!(
        exit.code == Some(0) && !exit.oom,
        "the node did not end cleanly but with exit code {}, so nothing is certified: look at its log (docker logs) \
         or raise collator.stop_timeout, and bake again",
        exit.code.map_or_else(|| "unknown".to_owned(), |code| code.to_string())
    );
    if let Some(cause) = exit_diagnosis::damage(&exit.log) {
        bail!(
            "the node ended with code 0, but its last lines tell of {}, so nothing is certified: look at its log \
             (docker logs), begin from good data, and bake again",
            cause.name()
        );
    }
    Ok(())
}

/// Removes the keys, looks at every byte that is left, and says what it is.
async fn certify(config: &Config, snapshot: Arc<Snapshot>) -> anyhow::Result<Certificate> {
    let (data, reference) = (config.data.path.clone(), config.collator.image.clone());
    let wanted: Vec<Chain> = config.chains.keys().copied().collect();
    info!("looking at every file");
    let work = move || {
        scrub::remove_keys(&data)?;
        let survey = survey_data_dir(&data, true).with_context(|| format!("cannot read {}", data.display()))?;
        scrub::ensure_only_chain_data(&data, &survey)?;
        ensure!(
            survey.secrets.is_empty(),
            "keys came back while they were removed: bake again"
        );
        let digest = snapshot.status.collator.digest.clone();
        let chains = wanted
            .into_iter()
            .map(|chain| Ok((chain, baked(chain, &snapshot, &survey)?)));
        Ok(Certificate {
            schema: certificate::SCHEMA,
            at: Timestamp::now(),
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            image: BakedImage {
                reference,
                digest: digest.context("docker does not tell which image ran")?,
            },
            chains: chains.collect::<anyhow::Result<BTreeMap<_, _>>>()?,
            stop: BakedStop {
                clean: true,
                exit_code: 0,
            },
            tree: survey.tree,
        })
    };
    tokio::task::spawn_blocking(work).await?
}

async fn write(data: PathBuf, certificate: Certificate) -> anyhow::Result<()> {
    let work = move || {
        certificate::write_certificate(&data, &certificate)
            .with_context(|| format!("cannot write the certificate in {}", data.display()))
    };
    tokio::task::spawn_blocking(work).await?
}

/// What is certified of one chain. What is not known is not certified.
fn baked(chain: Chain, snapshot: &Snapshot, survey: &Survey) -> anyhow::Result<BakedChain> {
    let name = chain.name();
    let node = snapshot.nodes.get(&chain).cloned().unwrap_or_default();
    let status = snapshot.status.chains.get(&chain);
    let untold = |what: &str| {
        format!("the {name}'s exporter does not tell {what}, so nothing can be certified: check chains.{name}")
    };
    let id = node.chain_id.with_context(|| untold("which chain it is"))?;
    let mut places = survey.chains.iter().filter(|dir| dir.id == id);
    let (Some(place), None) = (places.next(), places.next()) else {
        bail!("the data directory has not exactly one chains/{id}: keep the {name}'s data below data.path");
    };
    let [database] = place.databases[..] else {
        bail!(
            "{} has not exactly one database: remove the one that is not used, and bake again",
            place.path.display()
        );
    };
    Ok(BakedChain {
        genesis: node
            .genesis
            .with_context(|| untold("its genesis (protocol names of block-announces)"))?,
        best: status.and_then(|s| s.best).with_context(|| untold("its height"))?,
        finalized: status.and_then(|s| s.finalized),
        database,
        path: place.path.display().to_string(),
        node: node.version.with_context(|| untold("its version (build_info)"))?,
        id,
    })
}

/// Progress: one line that is rewritten on a terminal, else a line in the log now and then.
#[derive(Debug, Default)]
struct Progress {
    last: Option<(Instant, Option<Phase>)>,
}

impl Progress {
    fn line(&mut self, snapshot: &Snapshot, outlook: &Outlook) {
        let phase = snapshot.status.phase;
        let text = gate::progress(&snapshot.status, outlook);
        if io::stderr().is_terminal() {
            // Progress that nobody can be shown is no reason to end.
            let _ = write!(io::stderr().lock(), "\r\x1b[K{text}");
        }
        let due = self
            .last
            .is_none_or(|(at, was)| was != phase || at.elapsed() >= PROGRESS);
        if due {
            self.last = Some((Instant::now(), phase));
            info!(phase = phase.map(Phase::name), "{text}");
        }
    }

    /// Leaves the line that was rewritten.
    fn end() {
        if io::stderr().is_terminal() {
            let _ = writeln!(io::stderr().lock());
        }
    }
}
