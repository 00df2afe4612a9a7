//! The template: formatted, valid, and with a sentence for every variable that is wrong.

use std::process::Output;

use anyhow::{Result, ensure};
use t0rn_agent_tests::repository::{package, root};
use t0rn_agent_tests::{skip, wait};

use crate::account::{AwsAccount, said, unavailable};

/// A value that is wrong, and words of the message that says what would be right.
const WRONG: [(&str, &str); 30] = [
    ("name=A_b", "lower-case letters, digits and dashes"),
    ("agent_deb=agent.rpm", "make deb"),
    ("agent_config=agent.json", "t0rn-agent config check"),
    ("source_chain_snapshot=vol-0123456789", "id of an EBS snapshot"),
    ("seed_url=ftp://example.org/chain.tar", ".tar.zst"),
    ("seed_url=https://example.org/chain.zip", ".tar.zst"),
    ("seed_sha256=1234", "64 lower-case hexadecimal digits"),
    ("within=0", "from 1 to 10000"),
    ("within=1.5", "a whole number of blocks"),
    ("credible=2", "30s, 2m or 1h"),
    ("credible=0h", "nothing is credible at once"),
    ("deadline=soon", "45m or 3h"),
    ("deadline=0s", "45m or 3h"),
    ("region=Frankfurt", "eu-central-1"),
    ("downloads=", "packer/fetch DIR"),
    ("architecture=amd64", "x86_64 or arm64"),
    ("instance_type=large", "as in m6a.large"),
    ("ssh_source_cidrs=[\"10.0.0.1\"]", "as in [\"10.0.0.0/8\"]"),
    ("ssh_source_cidrs=[\"0.0.0.0/0\"]", "not the whole internet"),
    ("security_group_id=default", "sg-0123456789abcdef0"),
    ("source_ami=debian", "AMI's id"),
    ("root_device=/dev/sda", "/dev/xvda or /dev/sda1"),
    ("root_gib=4", "from 8 to 16384 GiB"),
    ("root_gib=8.5", "a whole number"),
    ("chain_gib=0", "from 1 to 16384 GiB"),
    ("chain_gib=200.5", "a whole number"),
    ("kms_key_id=my-key", "alias/NAME"),
    ("subnet_id=private", "default VPC"),
    ("ssh_interface=dns", "session_manager"),
    ("custom_endpoint_ec2=https://ec2.amazonaws.com", "127.0.0.1"),
];

#[test]
fn template_is_formatted_valid_and_explains_wrong_variables() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let account = AwsAccount::open()?;
    let mut format = account.command("packer");
    let format = wait::run(60, format.args(["fmt", "-check", "-diff"]).arg(root().join("packer")))?;
    ensure!(format.status.success(), "packer fmt packer: {}", said(&format));

    std::fs::write(account.dir().join("agent.toml"), "")?;
    let validate = |wrong: Option<&str>| -> Result<Output> {
        let mut packer = account.command("packer");
        packer
            .args(["validate", "-var"])
            .arg(format!("agent_deb={}", package()?.display()));
        packer
            .arg("-var")
            .arg(format!("agent_config={}/agent.toml", account.dir().display()));
        packer.arg("-var").arg(format!("downloads={}", account.dir().display()));
        if let Some(wrong) = wrong {
            packer.args(["-var", wrong]);
        }
        wait::run(60, packer.arg(root().join("packer")))
    };
    let valid = validate(None)?;
    ensure!(valid.status.success(), "packer validate: {}", said(&valid));
    for (wrong, words) in WRONG {
        let refused = validate(Some(wrong))?;
        let told = said(&refused).replace('\n', " ");
        ensure!(!refused.status.success() && told.contains(words), "{wrong}: {told}");
    }
    Ok(())
}
