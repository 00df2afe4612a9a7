//! `state.json` is written again as it was: the same names, and what this life of the agent has not learnt anew.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{Host, fixture};

/// What a new life of the agent looks at itself, below `state`.
const LOOKED_AT: [&str; 6] = ["now", "observed", "docker_down", "told", "host", "identity"];
/// What it takes up only from now on: windows, and what was under way.
const BEGUN_ANEW: [&str; 7] = [
    "in_flight",
    "echo_until",
    "settle",
    "signalled",
    "activity",
    "conflict",
    "unconfirmed_until",
];
/// What it knows of a chain without having watched it lately; everything else there is a window.
const KNOWN_OF_CHAIN: [&str; 7] = [
    "chain",
    "sample",
    "answered",
    "process_start",
    "heights",
    "progressed_at",
    "was_synced",
];

/// What 0.1.0 scraped and saved, and nothing has ever read.
const UNUSED_OF_SAMPLE: &str = "queued_blocks";
/// What the windows of a chain and the measurement of the container's work are kept as today has other names: the windows
/// start anew with the agent, and the work is measured again within half a minute.
const RENAMED_OF_TRACKER: [&str; 4] = ["alone", "company", "deserted", "falling"];
const RENAMED_OF_STATE: &str = "busy";

/// The states that 0.1.0 wrote, by name.
fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(fixture("state"))? {
        let name = entry?.file_name().into_string().ok().context("a name")?;
        names.extend(name.strip_suffix(".json").map(str::to_owned));
    }
    ensure!(names.len() == 21, "{names:?}");
    Ok(names)
}

/// Every name of `old` is in `new`, too. Returns the first that is not.
fn lost(old: &Value, new: &Value, at: &str) -> Option<String> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => old.iter().find_map(|(name, value)| {
            let at = format!("{at}.{name}");
            new.get(name)
                .map_or_else(|| Some(at.clone()), |new| lost(value, new, &at))
        }),
        // What lists hold comes and goes.
        (Value::Array(old), Value::Array(new)) => old.iter().zip(new).find_map(|(old, new)| lost(old, new, at)),
        _ => None,
    }
}

#[test]
fn state_of_0_1_0_is_saved_again_under_its_names_with_what_is_known() -> Result<()> {
    let mut hosts = Vec::new();
    for name in names()? {
        let mut host = Host::with_state(&name)?;
        // What would say otherwise at once is kept from it.
        match name.as_str() {
            "keyless" => host.without_keys()?,
            "notice" => host.without_imds()?,
            "host" => host.set("host", "disk_floor", "900TiB")?,
            _ => {}
        }
        host.start()?;
        hosts.push((name, host));
    }
    for (name, mut host) in hosts {
        host.wait_unreachable()?;
        host.end()?;
        let read = |path| anyhow::Ok(serde_json::from_slice::<Value>(&fs::read(path)?)?);
        let (mut old, new) = (
            read(fixture(&format!("state/{name}.json")))?,
            read(host.path("state/state.json"))?,
        );
        if let Some(state) = old["state"].as_object_mut() {
            state.remove(RENAMED_OF_STATE);
        }
        for tracker in old["state"]["trackers"].as_object_mut().into_iter().flatten() {
            for name in RENAMED_OF_TRACKER {
                tracker.1.as_object_mut().map(|fields| fields.remove(name));
            }
            if let Some(sample) = tracker.1["sample"].as_object_mut() {
                sample.remove(UNUSED_OF_SAMPLE);
            }
        }
        let gone = lost(&old, &new, "");
        ensure!(gone.is_none(), "{name}: {} is gone: {new}", gone.unwrap_or_default());
        compare(&old["state"], &new["state"]).with_context(|| name)?;
    }
    Ok(())
}

fn compare(old: &Value, new: &Value) -> Result<()> {
    let stopping = old["in_flight"]
        .as_object()
        .is_some_and(|action| !action.contains_key("start"));
    ensure!(
        old["echo_until"].is_u64() || stopping == new["echo_until"].is_u64(),
        "its own stop is forgotten: {new}"
    );
    for (name, old) in old.as_object().context("no state")? {
        let same = |part: &str| ensure_same(&format!("{name}.{part}"), &old[part], &new[name][part]);
        match name.as_str() {
            name if LOOKED_AT.contains(&name) || BEGUN_ANEW.contains(&name) => {}
            "trackers" => {
                for (chain, old) in old.as_object().context("no chains")? {
                    for part in KNOWN_OF_CHAIN {
                        ensure_same(&format!("{chain}.{part}"), &old[part], &new[name][chain][part])?;
                    }
                }
            }
            // Whether this life has confirmed it is new.
            "notice" if old.is_object() => ["kind", "deadline"].into_iter().try_for_each(same)?,
            "collation" => ["collates", "built", "lacking"].into_iter().try_for_each(same)?,
            "update" => {
                ["pinned", "past"].into_iter().try_for_each(same)?;
                if let Some(running) = old["running"].as_object() {
                    let kept = running
                        .iter()
                        .filter(|(part, _)| !["probation", "ordered"].contains(&part.as_str()));
                    for (part, old) in kept {
                        ensure_same(&format!("update.{part}"), old, &new[name]["running"][part])?;
                    }
                }
            }
            _ => ensure_same(name, old, &new[name])?,
        }
    }
    Ok(())
}

fn ensure_same(what: &str, old: &Value, new: &Value) -> Result<()> {
    ensure!(old == new, "{what} was {old}, and is {new}");
    Ok(())
}
