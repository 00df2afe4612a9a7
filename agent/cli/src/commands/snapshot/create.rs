//! `snapshot create`.

use std::fs;
use std::io::Write;

use anyhow::{Context as _, ensure};

use agent_chaindata::lock::lock_data_dir;
use agent_chaindata::snapshot::{Consistency, SecretKey};

use super::destination::Destination;
use super::verify::describe;
use crate::commands::background::{blocking, until_signal};
use crate::commands::quiesce::{query_nodes, quiesce, resume};
use crate::globals::GlobalArgs;
use crate::output::print;

/// Writes a snapshot to `to`. Unless it is `live`, the collator is stopped meanwhile, and started again however this ends.
pub(super) async fn create(
    globals: &GlobalArgs,
    to: &str,
    live: bool,
    signer: Option<SecretKey>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let config = globals.load_agent_config()?;
    let data = &config.data.path;
    fs::metadata(data).with_context(|| format!("cannot open {}", data.display()))?;
    let lock = lock_data_dir(&config.agent.state_dir, data)?;
    // Before the collator is stopped for it.
    let destination = Destination::open(to, &config).await?;
    let partial = destination.partial_file()?;
    let (data, client) = (config.data.path.clone(), globals.client());
    let work = async {
        let nodes = query_nodes(&config).await;
        let (consistency, rest) = if live {
            (Consistency::CrashConsistent, None)
        } else {
            (Consistency::Clean, Some(quiesce(&config, &client).await?))
        };
        ensure!(
            rest.as_ref().is_none_or(|rest| rest.clean != Some(false)),
            "the collator did not end cleanly, so its data may not be whole: look at its log, or raise \
             collator.stop_timeout"
        );
        // The rest ends with the work, also where a signal ends both.
        blocking(move || {
            let _rest = rest;
            destination.write_snapshot(&data, consistency, &nodes, signer.as_ref())
        })
        .await
    };
    let created = until_signal(Box::pin(work)).await;
    if let Some((dir, partial)) = partial.filter(|_| created.is_err()) {
        let _ = dir.remove_file(partial);
    }
    drop(lock);
    let resumed = if live { Ok(()) } else { resume(&config, &client).await };
    let created = created?;
    resumed?;
    if to != "-" {
        print(out, &format!("{to}: {}\n", describe(&created.manifest)))?;
    }
    Ok(())
}
