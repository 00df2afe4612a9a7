//! A machine in the place of the instance that an image is baked on, and Packer, which bakes on it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::nspawn::NspawnMachine;
use t0rn_agent_tests::repository::{package, root};
use t0rn_agent_tests::{sim_image, wait};

use crate::account::{AwsAccount, INSTANCE, endpoint, said};
use crate::vendor::Vendor;

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

/// What the word is in every secret of [`SECRETS`].
pub(crate) const PLANTED: &str = "planted-";

/// Further settings of the bake, with secrets that may be on no image.
const SECRETS: &str = r#"
[collator.env]
RPC_TOKEN = "planted-variable"

[notify]
webhook = "https://hooks.example/services/planted-path?key=planted-query"
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
        // As the initial RAM disk of Debian's own images mounts it.
        machine.ok("mount -o remount,noexec /run")?;
        machine.ok("useradd --create-home --shell /bin/bash admin")?;
        fs::write(account.dir().join("agent.toml"), format!("{CONFIG}{SECRETS}"))?;
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

    /// `make bake`, with Amazon's agents from the stand-in `vendor` and with `variables` of the template besides those of
    /// every test.
    pub(crate) fn bake(
        &self,
        vendor: &Vendor,
        output: &Path,
        from: &str,
        variables: &[(&str, &str)],
    ) -> Result<Output> {
        self.let_in()?;
        let folder = self.account.dir();
        let mut make = self.account.configured("make", "bake");
        make.args(["--no-print-directory", "--directory"])
            .arg(root())
            .arg("bake");
        make.env("CONFIG", folder.join("agent.toml"))
            .env("DEB", package()?)
            .env("FROM", from);
        make.env("OUTPUT", output).env("VERSIONS", vendor.list());
        let (key, endpoint) = (folder.join("key").display().to_string(), endpoint());
        let of_test = [
            ("chain_volume", "none"),
            ("custom_endpoint_ec2", &endpoint),
            ("ssh_host", INSTANCE),
            ("ssh_private_key_file", &key),
            ("within", "20"),
            ("credible", "3s"),
            ("deadline", "4m"),
        ];
        for (name, value) in of_test.iter().chain(variables) {
            make.env(format!("PKR_VAR_{name}"), value);
        }
        wait::run(BAKE, &mut make)
    }
}

/// The certificate that a bake handed out.
pub(crate) fn certificate(output: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(output.join("bake.json"))?)?)
}
