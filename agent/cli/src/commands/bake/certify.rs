//! Certifies baked data: removes the keys, reads everything that is left, and describes it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use tracing::info;

use agent_chaindata::certificate::{self, BakedChain, BakedImage, BakedStop, Certificate};
use agent_chaindata::scrub;
use agent_chaindata::survey::{Survey, survey_data_dir};
use agent_config::Config;
use agent_core::event::Chain;
use agent_core::published::AgentSnapshot;

pub(super) async fn certify(config: &Config, snapshot: Arc<AgentSnapshot>) -> anyhow::Result<Certificate> {
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
            .map(|chain| Ok((chain, baked_chain(chain, &snapshot, &survey)?)));
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

pub(super) async fn write_certificate(data: PathBuf, certificate: Certificate) -> anyhow::Result<()> {
    let work = move || {
        certificate::write_certificate(&data, &certificate)
            .with_context(|| format!("cannot write the certificate in {}", data.display()))
    };
    tokio::task::spawn_blocking(work).await?
}

/// One chain's part of the certificate. Fails when anything in it is unknown.
fn baked_chain(chain: Chain, snapshot: &AgentSnapshot, survey: &Survey) -> anyhow::Result<BakedChain> {
    let name = chain.into_str();
    let node = snapshot.nodes.get(&chain).cloned().unwrap_or_default();
    let status = snapshot.status.chains.get(&chain);
    let unknown = |what: &str| {
        format!("the {name}'s exporter does not tell {what}, so nothing can be certified: check chains.{name}")
    };
    let id = node.chain_id.with_context(|| unknown("which chain it is"))?;
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
            .with_context(|| unknown("its genesis (protocol names of block-announces)"))?,
        best: status.and_then(|s| s.best).with_context(|| unknown("its height"))?,
        finalized: status.and_then(|s| s.finalized),
        database,
        path: place.path.display().to_string(),
        node: node.version.with_context(|| unknown("its version (build_info)"))?,
        id,
    })
}
