//! Writes cases as traces, so that `t0rn-agent replay` can be tried on them, each with its configuration.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

use agent_core::event::Chain;
use agent_core::trace::write_line;
use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use super::{Case, Expect, case, kinds};

/// Writes seeds 0 to `seeds` of every kind whose name holds `filter`.
///
/// # Errors
///
/// When `folder` cannot be written.
pub fn write(folder: &Path, seeds: u64, filter: &str) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    let mut labels = Map::new();
    for kind in kinds().filter(|kind| kind.contains(filter)) {
        for case in (0..seeds).filter_map(|seed| case(kind, seed)) {
            let name = format!("{kind}-{}", case.seed);
            let mut out = BufWriter::new(fs::File::create(folder.join(format!("{name}.jsonl")))?);
            for (at, event) in &case.events {
                write_line(&mut out, *at, event)?;
            }
            out.flush()?;
            if let [chain] = case.policy.chains[..] {
                fs::write(folder.join(format!("{name}.toml")), configuration(chain))?;
            }
            labels.insert(name, label(&case));
        }
    }
    fs::write(folder.join("labels.json"), serde_json::to_vec_pretty(&labels)?)?;
    Ok(())
}

fn configuration(chain: Chain) -> String {
    let chain: &str = chain.into_str();
    format!("[collator]\nimage = \"x/y:1\"\n[chains.{chain}]\nmetrics = \"http://127.0.0.1:9615/metrics\"\n")
}

fn label(of: &Case) -> Value {
    let label = &of.label;
    let (expect, cause) = match label.expect {
        Expect::Nothing => ("none", None),
        Expect::Restart(cause) => ("restart", cause),
        Expect::Hold(cause) => ("hold", Some(cause)),
    };
    json!({
        "expect": expect,
        "cause": cause,
        "from": label.from,
        "until": if label.expect == Expect::Nothing { label.tells_by.unwrap_or(0) } else { label.until },
        "max_restarts": label.max_restarts,
        "notify_max": label.notify_max.unwrap_or(1_000_000),
        "tells": label.tells_by.is_some(),
        "never": label.never,
        "why": of.kind,
    })
}
