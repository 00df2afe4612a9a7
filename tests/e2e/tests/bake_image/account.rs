//! An emulated AWS account in a network of its own, and the programs that use it.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::nspawn::NspawnMachine;
use t0rn_agent_tests::repository::{cache, root, tool, tools};
use t0rn_agent_tests::wait;
use tempfile::TempDir;

use crate::roles::{Authorizer, STACK};

const BASE: &str = "ami-0deb1a12000000001";
pub(crate) const REGION: &str = "eu-central-1";
/// Addresses of the account's network: where the programs run, and the machine that is an instance.
pub(crate) const HERE: &str = "10.215.0.1";
pub(crate) const INSTANCE: &str = "10.215.0.2";
const PORT: &str = "5999";

/// The emulator, gone with the value.
#[derive(Debug)]
pub(crate) struct AwsAccount {
    emulator: Child,
    dir: TempDir,
    /// What the repository's scripts are told.
    settings: BTreeMap<&'static str, String>,
    /// The image's name.
    name: &'static str,
    /// What roles may do is enforced.
    authorizer: Option<Authorizer>,
}

/// Why there is none; `None` when there can be one.
pub(crate) fn unavailable() -> Option<String> {
    if tool("gpg").is_none() {
        return Some("gpg is missing: tests/tools/setup gpg".to_owned());
    }
    ["bin/moto_server", "bin/aws", "bin/packer", "packer-plugins"]
        .into_iter()
        .find(|file| !cache().join(file).exists())
        .map(|file| format!("{file} is missing: tests/tools/setup packer aws"))
}

impl AwsAccount {
    /// # Errors
    /// The emulator does not come up within a minute.
    pub(crate) fn open() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("account").tempdir()?;
        Self::opened(dir, "t0rn-collator", None)
    }

    /// One in which the repository's scripts run by the roles of the workflow `bake`, each of which may do what its policies allow.
    ///
    /// # Errors
    /// As [`Self::open`], or the policies cannot be planned.
    pub(crate) fn of_roles() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("account").tempdir()?;
        let authorizer = Authorizer::start(dir.path())?;
        let mut account = Self::opened(dir, STACK, authorizer)?;
        account.set("NAME", STACK);
        Ok(account)
    }

    fn opened(dir: TempDir, name: &'static str, authorizer: Option<Authorizer>) -> Result<Self> {
        let base = serde_json::json!([{
            "ami_id": BASE, "name": "debian-12-amd64-20260701-1", "owner_id": "136693071363", "description": "Debian 12",
            "public": true, "virtualization_type": "hvm", "architecture": "x86_64", "state": "available",
            "creation_date": "2026-07-01T00:00:00Z", "root_device_name": "/dev/xvda", "root_device_type": "ebs",
            "hypervisor": "xen", "image_location": "amazon/debian-12", "image_type": "machine", "sriov": "simple",
        }]);
        fs::write(dir.path().join("amis.json"), base.to_string())?;
        let python = fs::canonicalize(tools().join("moto_server"))?.with_file_name("python");
        let emulator = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--net", "sh", "-c"])
            .arg(r#"ip link set lo up && exec "$0" "$@""#)
            .arg(python)
            .arg(root().join("tests/infrastructure/emulator.py"))
            .arg(PORT)
            .env("MOTO_AMIS_PATH", dir.path().join("amis.json"))
            .envs(authorizer.iter().flat_map(Authorizer::variables))
            .stdin(Stdio::null())
            .stdout(File::create(dir.path().join("out"))?)
            .stderr(File::create(dir.path().join("emulator"))?)
            .spawn()?;
        let account = Self {
            emulator,
            dir,
            settings: BTreeMap::new(),
            name,
            authorizer,
        };
        wait::until("the emulated account", Duration::from_mins(1), || {
            let mut look = account.command("bash");
            look.args(["-c", &format!("</dev/tcp/127.0.0.1/{PORT}")]);
            ensure!(
                look.output()?.status.success(),
                "{}",
                fs::read_to_string(account.dir.path().join("emulator"))?
            );
            Ok(())
        })?;
        Ok(account)
    }

    /// Puts a machine into the account's network, as [`INSTANCE`].
    pub(crate) fn connect(&self, machine: &NspawnMachine) -> Result<()> {
        let machine = machine.init()?;
        let script = format!(
            "ip link add builder type veth peer name host0 netns {machine} && ip address add {HERE}/30 dev builder && \
             ip link set builder up && nsenter --net --target {machine} sh -ec \
             'ip address add {INSTANCE}/30 dev host0; ip link set host0 up'"
        );
        let output = wait::run(20, self.command("sh").args(["-ec", &script]))?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// A program in the account's network, with an administrator's credentials.
    pub(crate) fn command(&self, program: &str) -> Command {
        let path = env::var("PATH").unwrap_or_default();
        let mut command = Command::new("nsenter");
        command
            .args(["--net", "--target", &self.emulator.id().to_string(), program])
            .env("PATH", format!("{}:{path}", tools().display()))
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_ENDPOINT_URL", endpoint())
            .env("AWS_PAGER", "")
            .env("CHECKPOINT_DISABLE", "1")
            .env("PACKER_PLUGIN_PATH", cache().join("packer-plugins"))
            .env("HOME", self.dir.path());
        command
    }

    /// What `aws …` answers.
    ///
    /// # Errors
    /// It refused.
    pub(crate) fn aws(&self, line: &str) -> Result<Value> {
        let mut aws = self.command("aws");
        let output = wait::run(60, aws.args(line.split_whitespace()).args(["--output", "json"]))?;
        ensure!(
            output.status.success(),
            "aws {line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        if output.stdout.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("aws {line}"))
    }

    /// A subnet of a VPC of its own, whose way out is a NAT gateway.
    ///
    /// # Errors
    /// It is refused.
    pub(crate) fn private_subnet(&self, vpc_block: &str, block: &str) -> Result<String> {
        let id = |made: Value, path: &str| -> Result<String> {
            let id = made.pointer(path).and_then(Value::as_str);
            Ok(id.with_context(|| format!("no {path}"))?.to_owned())
        };
        let vpc = self.aws(&format!("ec2 create-vpc --cidr-block {vpc_block}"))?;
        let vpc = id(vpc, "/Vpc/VpcId")?;
        let subnet = self.aws(&format!("ec2 create-subnet --vpc-id {vpc} --cidr-block {block}"))?;
        let subnet = id(subnet, "/Subnet/SubnetId")?;
        let gateway = self.aws(&format!(
            "ec2 create-nat-gateway --subnet-id {subnet} --connectivity-type private"
        ))?;
        let gateway = id(gateway, "/NatGateway/NatGatewayId")?;
        let tables = self.aws(&format!("ec2 describe-route-tables --filters Name=vpc-id,Values={vpc}"))?;
        let table = id(tables, "/RouteTables/0/RouteTableId")?;
        self.aws(&format!(
            "ec2 create-route --route-table-id {table} --destination-cidr-block 0.0.0.0/0 --nat-gateway-id {gateway}"
        ))?;
        Ok(subnet)
    }

    /// Ids of the snapshots of an image.
    ///
    /// # Errors
    /// There is no such image.
    pub(crate) fn snapshots(&self, image: &str) -> Result<Vec<String>> {
        let images = self.aws(&format!("ec2 describe-images --image-ids {image}"))?;
        let mappings = images["Images"][0]["BlockDeviceMappings"]
            .as_array()
            .context("no mappings")?;
        let ids = mappings
            .iter()
            .filter_map(|mapping| mapping.pointer("/Ebs/SnapshotId").and_then(Value::as_str));
        Ok(ids.map(str::to_owned).collect())
    }

    /// Runs one of the repository's scripts.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn script(&self, script: &str, args: &[&str]) -> Result<Output> {
        let path = root().join(script);
        let role = match script {
            "packer/publish" | "packer/prune" => "publish",
            _ => "bake",
        };
        wait::run(300, self.configured("bash", role).arg(path).args(args))
    }

    /// A program with what was set for the repository's scripts, by a role of the workflow where roles are enforced.
    pub(crate) fn configured(&self, program: &str, role: &str) -> Command {
        let mut command = self.command(program);
        if self.has_roles() {
            command.env("AWS_ACCESS_KEY_ID", role);
        }
        command.envs(&self.settings);
        command
    }

    /// Whether what each role may do is enforced.
    pub(crate) fn has_roles(&self) -> bool {
        self.authorizer.is_some()
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Sets a variable for [`Self::script`].
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.settings.insert(name, value.to_owned());
    }

    pub(crate) fn unset(&mut self, name: &str) {
        self.settings.remove(name);
    }

    /// Lets [`Self::script`] find the programs in `folder` before all others.
    pub(crate) fn first_in_path(&mut self, folder: &Path) {
        let usual = env::var("PATH").unwrap_or_default();
        self.set("PATH", &format!("{}:{}:{usual}", folder.display(), tools().display()));
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for AwsAccount {
    #[expect(clippy::print_stdout, reason = "a failure says what was refused")]
    fn drop(&mut self) {
        for (_, file) in self.authorizer.iter().flat_map(Authorizer::variables) {
            print!("{}", fs::read_to_string(file).unwrap_or_default());
        }
        let _ = self.emulator.kill();
        let _ = self.emulator.wait();
    }
}

pub(crate) fn endpoint() -> String {
    format!("http://127.0.0.1:{PORT}")
}

/// What a program printed, both ways.
pub(crate) fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    format!("{out}{err}")
}
