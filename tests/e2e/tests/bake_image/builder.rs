//! A machine in the place of the instance that an image is baked on, and Packer, which bakes on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::nspawn::NspawnMachine;
use t0rn_agent_tests::repository::package;
use t0rn_agent_tests::{sim_image, wait};

use crate::account::{AwsAccount, INSTANCE, endpoint, said};

/// Longest time for one bake, seconds.
const BAKE: u32 = 400;

/// The configuration of bake and boot: the simulated collator, whose chains move fast.
pub(crate) const CONFIG: &str = r#"
[collator]
image = "sim-collator:baked"
command = ["--collator", "--base-path", "/node/data", "--prometheus-external", "--sim-target", "2000", "--sim-relay-target", "4000", "--sim-block-time", "500", "--sim-relay-block-time", "500"]
nofile = 1024
stop_timeout = "20s"

[health]
scrape_interval = "500ms"
scrape_timeout = "500ms"

[host]
disk_warn_percent = 0
disk_floor = 0
clock_warn = "1h"
"#;

/// A booted Debian with the collator's image in its engine, that can be reached as an instance of the account.
pub(crate) struct Builder<'a> {
    account: &'a AwsAccount,
    pub(crate) machine: NspawnMachine,
}

impl<'a> Builder<'a> {
    pub(crate) fn boot(account: &'a AwsAccount) -> Result<Self> {
        let machine = NspawnMachine::with_chain(|root| sim_image::archive(&root.join("root/image.tar")))?;
        let changes = sim_image::CHANGES.map(|change| format!("-c '{change}'")).join(" ");
        machine.ok(&format!(
            "docker import {changes} /root/image.tar sim-collator:baked && rm /root/image.tar"
        ))?;
        account.connect(&machine)?;
        machine.ok("useradd --create-home --shell /bin/bash admin")?;
        fs::write(account.dir().join("agent.toml"), CONFIG)?;
        stand_ins(&account.dir().join("downloads"))?;
        Ok(Self { account, machine })
    }

    /// Lets Packer in, as cloud-init does on an instance. The image's own cleaning took it away if it ran.
    fn let_in(&self) -> Result<()> {
        let key = self.account.dir().join("key");
        if !key.exists() {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "rsa", "-m", "PEM", "-N", "", "-f"]).arg(&key);
            let output = wait::run(60, &mut keygen)?;
            ensure!(output.status.success(), "{}", said(&output));
        }
        let public = fs::read_to_string(key.with_extension("pub"))?;
        self.machine.ok(&format!(
            "install -d -m 700 -o admin -g admin /home/admin/.ssh && echo '{}' >/home/admin/.ssh/authorized_keys && \
             chown -R admin:admin /home/admin && echo 'admin ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/90-cloud-init-users && \
             ssh-keygen -A && mkdir -p /run/sshd && if [ -e /run/sshd.pid ]; then kill $(cat /run/sshd.pid); fi; \
             systemctl stop ssh; /usr/sbin/sshd -o UseDNS=no",
            public.trim()
        ))?;
        Ok(())
    }

    /// `packer build` of the repository's template with `variables` besides those of every test.
    pub(crate) fn packer(&self, output: &Path, variables: &[(&str, &str)]) -> Result<Output> {
        self.let_in()?;
        fs::create_dir_all(output)?;
        let template = template(self.account)?;
        let mut packer = self.account.command("packer");
        packer.args(["build", "-color=false", "-timestamp-ui"]);
        let of_test = [
            ("agent_deb", package()?.display().to_string()),
            (
                "agent_config",
                self.account.dir().join("agent.toml").display().to_string(),
            ),
            ("downloads", self.account.dir().join("downloads").display().to_string()),
            ("chain_volume", "none".to_owned()),
            ("output", output.display().to_string()),
            ("custom_endpoint_ec2", endpoint()),
            ("ssh_host", INSTANCE.to_owned()),
            (
                "ssh_private_key_file",
                self.account.dir().join("key").display().to_string(),
            ),
            ("within", "20".to_owned()),
            ("credible", "3s".to_owned()),
            ("deadline", "4m".to_owned()),
        ];
        let given = variables.iter().map(|&(name, value)| (name, value.to_owned()));
        for (name, value) in of_test.into_iter().chain(given) {
            packer.arg("-var").arg(format!("{name}={value}"));
        }
        packer.arg(template);
        wait::run(BAKE, &mut packer)
    }
}

/// The template without what the Packer of the tests does not know.
pub(crate) fn template(account: &AwsAccount) -> Result<PathBuf> {
    let folder = account.dir().join("template");
    let output = account.script("packer/for-1.6", &[&folder.display().to_string()])?;
    ensure!(output.status.success(), "{}", said(&output));
    Ok(folder.join("packer"))
}

/// The certificate that a bake handed out.
pub(crate) fn certificate(output: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(output.join("bake.json"))?)?)
}

/// Packages by the names of Amazon's agents that do nothing: those cannot be fetched here.
fn stand_ins(folder: &Path) -> Result<()> {
    let script = r#"
        cd "$0"
        for name in amazon-ssm-agent amazon-cloudwatch-agent; do
            mkdir -p $name/DEBIAN $name/lib/systemd/system
            printf 'Package: %s\nVersion: 0.0.0-stand-in\nArchitecture: amd64\nMaintainer: tests\nDescription: stand-in\n' $name >$name/DEBIAN/control
            printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' >$name/lib/systemd/system/$name.service
            dpkg-deb --root-owner-group --build $name $name.deb >/dev/null
            rm -r $name
        done
        sha256sum *.deb >SHA256SUMS
    "#;
    fs::create_dir_all(folder)?;
    let mut command = Command::new("sh");
    command.args(["-e", "-c", script]).arg(folder);
    let output = wait::run(60, &mut command)?;
    ensure!(output.status.success(), "{}", said(&output));
    Ok(())
}
