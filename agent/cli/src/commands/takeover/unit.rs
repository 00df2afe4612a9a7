//! The agent's systemd unit.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;
use tokio::time::timeout;

use super::plan::UnitState;

const UNIT: &str = "t0rn-agent.service";
/// There only on a host that systemd runs.
const SYSTEMD: &str = "/run/systemd/system";
/// Longer than systemd waits for a unit to start or to stop.
const TIMEOUT: Duration = Duration::from_mins(2);

/// The unit's state; `None` where systemd does not run the agent.
pub(super) async fn find_unit() -> anyhow::Result<Option<UnitState>> {
    if !Path::new(SYSTEMD).exists() {
        return Ok(None);
    }
    let properties = "--property=LoadState,UnitFileState,ActiveState";
    Ok(parse(&systemctl(&["show", properties, UNIT]).await?))
}

pub(super) async fn enable() -> anyhow::Result<()> {
    systemctl(&["enable", UNIT]).await.map(drop)
}

pub(super) async fn disable() -> anyhow::Result<()> {
    systemctl(&["disable", UNIT]).await.map(drop)
}

/// Starts the agent, or starts it anew.
pub(super) async fn restart() -> anyhow::Result<()> {
    let restarted = systemctl(&["restart", UNIT]).await;
    restarted.context("the agent does not start, and nothing was stopped: journalctl -u t0rn-agent")?;
    Ok(())
}

pub(super) async fn stop() -> anyhow::Result<()> {
    systemctl(&["stop", UNIT]).await.map(drop)
}

async fn systemctl(args: &[&str]) -> anyhow::Result<String> {
    let shown = format!("systemctl {}", args.join(" "));
    let mut command = Command::new("systemctl");
    command.args(args).kill_on_drop(true);
    let Ok(output) = timeout(TIMEOUT, command.output()).await else {
        bail!("{shown} did not end within {} s", TIMEOUT.as_secs());
    };
    let output = output.with_context(|| format!("cannot run {shown}"))?;
    ensure!(
        output.status.success(),
        "{shown} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn parse(text: &str) -> Option<UnitState> {
    let value = |key: &str| {
        let mut values = text.lines().filter_map(|line| line.split_once('='));
        values.find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    (value("LoadState") == Some("loaded")).then(|| UnitState {
        is_enabled: value("UnitFileState") == Some("enabled"),
        is_active: matches!(value("ActiveState"), Some("active" | "activating" | "reloading")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_is_what_systemd_shows() {
        let shown = |enabled, active| format!("LoadState=loaded\nActiveState={active}\nUnitFileState={enabled}\n");
        let unit = |is_enabled, is_active| Some(UnitState { is_enabled, is_active });
        assert_eq!(parse(&shown("enabled", "active")), unit(true, true));
        assert_eq!(parse(&shown("disabled", "inactive")), unit(false, false));
        assert_eq!(parse(&shown("enabled", "failed")), unit(true, false));
        assert_eq!(
            parse(&shown("disabled", "activating")),
            unit(false, true),
            "it waits for its next attempt"
        );
        assert_eq!(
            parse("LoadState=not-found\nActiveState=inactive\nUnitFileState=\n"),
            None
        );
        assert_eq!(
            parse("LoadState=masked\nActiveState=inactive\nUnitFileState=masked\n"),
            None
        );
    }
}
