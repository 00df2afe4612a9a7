//! `snapshot restore`.

use std::io::Write;

use agent_chaindata::compatibility::read_chain_facts;
use agent_chaindata::journal::is_restore_swapping;
use agent_chaindata::lock::lock_data_dir;
use agent_chaindata::restore::{RestoreOptions, commit_restore, prepare_restore};
use agent_chaindata::snapshot::SnapshotSource;
use agent_docker::Docker;

use super::progress::{ProgressPrinter, print_note};
use crate::commands::background::{blocking, until_signal};
use crate::commands::quiesce::{query_nodes, quiesce, resume};
use crate::globals::GlobalArgs;
use crate::output::print;

/// Restores `source`: locks the data, unpacks beside it, stops the collator, swaps the data, starts the collator again.
///
/// The collator is started again however this ends, but while the data is between two states.
pub(super) async fn restore(
    globals: &GlobalArgs,
    source: Box<dyn SnapshotSource + Send>,
    options: RestoreOptions,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let config = globals.load_agent_config()?;
    let (data, client) = (config.data.path.clone(), globals.client());
    if !data.exists() {
        // A host without any collator yet: made as for a first start.
        Docker::new(&config)?.prepare_paths().await?;
    }
    let lock = lock_data_dir(&config.agent.state_dir, &data)?;

    let (nodes, dir) = (query_nodes(&config).await, data.clone());
    let prepare = blocking(move || {
        let present = read_chain_facts(&dir, &nodes)?;
        prepare_restore(&dir, &*source, &options, &present, &mut ProgressPrinter::default())
    });
    let prepared = until_signal(prepare).await?;
    for path in &prepared.skipped {
        print_note(&format!("left out: {}", path.display()));
    }

    let rest = quiesce(&config, &client).await?;
    let committed = blocking(move || commit_restore(prepared, || Ok(()))).await;
    let resumed = if is_restore_swapping(&data) {
        Ok(())
    } else {
        drop((lock, rest));
        resume(&config, &client).await
    };
    let previous_data = committed?;
    resumed?;

    print(out, "restored\n")?;
    if let Some(dir) = previous_data {
        print(out, &format!("the data from before is in {}\n", dir.display()))?;
    }
    Ok(())
}
