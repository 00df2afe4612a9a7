//! A new instance of an image: cloud-init starts the agent, the agent the collator, which goes on where the image was.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use t0rn_agent_tests::nspawn::NspawnMachine;
use t0rn_agent_tests::repository::copy_validate;
use t0rn_agent_tests::wait;

use crate::account::said;
use crate::builder::CONFIG;

/// Longest time from the machine's boot to a collator that runs, seconds.
const BOOT: f64 = 30.0;
/// What is between the times that systemd, Docker and the journal give, in microseconds since 1970.
const TIMES: &str = r#"
micros() { date --date "$1" +%s%6N; }
show() { systemctl show --timestamp=us+utc --property "$1" --value $2; }
boot=$(micros "$(show UserspaceTimestamp)")
agent=$(micros "$(show ExecMainStartTimestamp t0rn-agent)")
running=$(micros "$(docker inspect --format '{{.State.StartedAt}}' t0rn-collator)")
acting=$(journalctl --boot --unit t0rn-agent --output json --output-fields MESSAGE | grep -m 1 'acting' | grep -o '__REALTIME_TIMESTAMP" *: *"[0-9]*' | grep -o '[0-9]*$')
echo $boot $agent ${acting:-0} $running
"#;

/// Boots `image`, whose parachain was baked at `height`, as a new instance, and reboots it.
pub(crate) fn twice(image: &Path, height: u64) -> Result<()> {
    let machine = NspawnMachine::from_image(image, |root| {
        let seed = root.join("var/lib/cloud/seed/nocloud");
        fs::create_dir_all(&seed)?;
        fs::write(seed.join("meta-data"), "instance-id: i-0baked\nlocal-hostname: baked\n")?;
        let content: Vec<_> = CONFIG.lines().map(|line| format!("      {line}\n")).collect();
        let user_data = format!(
            "#cloud-config\nwrite_files:\n  - path: /etc/t0rn-agent/agent.toml\n    content: |\n{}",
            content.concat()
        );
        fs::write(seed.join("user-data"), user_data)?;
        Ok(())
    })?;
    let first = goes_on(&machine, height, "first boot")?;
    ensure!(
        machine.ok("docker inspect --format '{{.RepoDigests}}' sim-collator:baked")? == "[]",
        "the image was pulled"
    );
    copy_validate(&machine.path("/run")?)?;
    let valid = machine.run("bash /run/validate boot")?;
    ensure!(
        valid.status.success() && said(&valid).contains("PASS certificate\n"),
        "{}",
        said(&valid)
    );

    machine.reboot()?;
    let second = goes_on(&machine, first, "reboot")?;
    ensure!(second >= first, "{second} after {first}");
    Ok(())
}

/// Waits for a collator that runs, and whose chain goes on from `height`. Returns its height.
fn goes_on(machine: &NspawnMachine, height: u64, which: &str) -> Result<u64> {
    let best = wait::until("a collator that goes on from the baked height", wait::LATER, || {
        let status = machine.run("t0rn-agent status --json")?;
        let status: Value = serde_json::from_slice(&status.stdout).with_context(|| said(&status))?;
        let best = status.pointer("/chains/parachain/best").and_then(Value::as_u64);
        let best = best.with_context(|| format!("no height: {status}"))?;
        // Below it, it began anew; and how it came there does not matter any more.
        if best < height {
            bail!("at {best}, baked was {height}");
        }
        ensure!(best > height, "still at {best}");
        Ok(best)
    })?;
    let times = machine.ok(TIMES)?;
    let times: Vec<f64> = times.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [boot, agent, acting, running] = times[..] else {
        bail!("{times:?}")
    };
    let collator = (running - boot) / 1e6;
    let own = (acting > 0.0).then(|| format!("{:.3} s", (acting - agent) / 1e6));
    // Past the test's own output, which is shown of a failure only.
    writeln!(
        io::stdout(),
        "{which}: boot -> collator running {collator:.1} s; agent started -> start issued {}; baked at {height}, now {best}",
        own.unwrap_or_else(|| "none: Docker's own policy started it".to_owned())
    )?;
    ensure!(
        collator <= BOOT,
        "{collator} s from boot to a collator that runs, at most {BOOT}"
    );
    Ok(best)
}
