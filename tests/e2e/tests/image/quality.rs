//! The files of the image as such, judged by the programs that read them.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::repository::root;

use crate::baked::beside_the_image;

fn ok(script: &str) -> Result<String> {
    let output = beside_the_image(script)?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(output.status.success(), "{script}: {output:?}");
    ensure!(output.stderr.is_empty(), "{script}: {output:?}");
    Ok(said)
}

#[test]
fn systemd_has_nothing_to_say_about_the_units_and_no_boot_goes_in_circles() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    // Unknown keys are told and nothing more.
    let said = ok(
        r"chroot . systemd-analyze verify --man=no t0rn-chain-volume.service t0rn-user-data.service t0rn-chain-grow.service \
        'var-lib-t0rn\x2dcollator.mount' docker.service docker.socket t0rn-agent.service tmp.mount multi-user.target 2>&1",
    )?;
    ensure!(said.is_empty(), "{said}");
    Ok(())
}

#[test]
fn cloud_init_accepts_every_key_of_configuration_and_sample() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    // An empty list of users is how nobody is made, and only later schemas know that; the boot shows that nobody is.
    for file in [
        "ami/rootfs/etc/cloud/cloud.cfg.d/90_t0rn-agent.cfg",
        "ami/user-data.example",
    ] {
        let said = ok(&format!(
            "mkdir -p run && grep -v '^users: \\[\\]$' \"$top/{file}\" >run/config
             chroot . cloud-init schema --config-file /run/config 2>&1"
        ))?;
        ensure!(said.ends_with("Valid cloud-config: /run/config"), "{file}: {said}");
    }
    // The metadata service may take longer than two minutes at a launch.
    let waits = fs::read_to_string(root().join("ami/rootfs/etc/cloud/cloud.cfg.d/90_t0rn-agent.cfg"))?;
    ensure!(waits.contains("\n    max_wait: 240\n"), "{waits}");
    // Keys of the first level that cloud-init does not know pass as valid.
    let known = [
        "datasource_list",
        "datasource",
        "users",
        "disable_root",
        "ssh_pwauth",
        "ssh_deletekeys",
        "ssh_genkeytypes",
        "package_update",
        "package_upgrade",
        "growpart",
        "resize_rootfs",
        "locale",
        "write_files",
    ];
    for file in [
        "ami/rootfs/etc/cloud/cloud.cfg.d/90_t0rn-agent.cfg",
        "ami/user-data.example",
    ] {
        let text = fs::read_to_string(root().join(file))?;
        ensure!(text.starts_with("#cloud-config\n"), "{file}");
        let keys = text
            .lines()
            .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
        for key in keys.filter_map(|line| line.split_once(':')) {
            ensure!(known.contains(&key.0), "{file}: {}", key.0);
        }
    }
    Ok(())
}

#[test]
fn the_sample_user_data_is_a_configuration_that_the_agent_takes() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let said = ok(r#"python3 - "$top/ami/user-data.example" >"$dir/agent.toml" <<'END'
import sys, yaml
files = yaml.safe_load(open(sys.argv[1]))["write_files"]
print(next(file["content"] for file in files if file["path"] == "/etc/t0rn-agent/agent.toml"))
END
        usr/bin/t0rn-agent config check "$dir/agent.toml""#)?;
    ensure!(said.ends_with(": ok"), "{said}");
    Ok(())
}

#[test]
fn apt_chrony_sshd_and_docker_read_what_they_are_given() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let apt = ok("chroot . apt-config dump | grep '^Unattended-Upgrade::'")?;
    for line in [
        "Unattended-Upgrade::Automatic-Reboot \"false\";",
        "Unattended-Upgrade::Package-Blacklist:: \"^docker\";",
        "Unattended-Upgrade::Package-Blacklist:: \"^containerd\";",
    ] {
        ensure!(apt.contains(line), "{apt}");
    }
    // Only Debian's security updates: the list of the package was replaced.
    ensure!(
        apt.matches("Unattended-Upgrade::Origins-Pattern::").count() == 1,
        "{apt}"
    );
    let chrony = ok("chroot . chronyd -p -f /etc/chrony/chrony.conf")?;
    ensure!(chrony.contains("cmdport 0"), "{chrony}");
    // Amazon's time is smeared: no source that is not, and no leap seconds from the table of the host.
    let sources: Vec<_> = chrony
        .lines()
        .filter(|line| {
            ["server", "pool", "peer", "sourcedir", "leapsectz"]
                .iter()
                .any(|key| line.starts_with(key))
        })
        .collect();
    ensure!(sources == ["sourcedir /etc/chrony/sources.d",], "{chrony}");
    let servers = ok("cat etc/chrony/sources.d/*.sources | grep -v '^#'")?;
    ensure!(
        servers == "server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4",
        "{servers}"
    );
    // Nor does an upgrade of chrony bring Debian's configuration back.
    ok("chroot . env DEBIAN_FRONTEND=noninteractive ucf --three-way /usr/share/chrony/chrony.conf /etc/chrony/chrony.conf >run/ucf 2>&1
        ! grep -E '^(pool|leapsectz)' etc/chrony/chrony.conf")?;
    let sshd = ok("mkdir -p run/sshd && chroot . ssh-keygen -q -A && chroot . sshd -T")?;
    for line in ["passwordauthentication no", "permitrootlogin no"] {
        ensure!(sshd.contains(line), "{sshd}");
    }
    let docker = "etc/docker/daemon.json";
    let text = fs::read_to_string(root().join("ami/rootfs").join(docker))?;
    serde_json::from_str::<serde_json::Value>(&text).context(docker)?;
    Ok(())
}

#[test]
fn every_program_of_a_vendor_has_a_key_a_fingerprint_and_an_address() -> Result<()> {
    let text = fs::read_to_string(root().join("ami/versions"))?;
    let lines: Vec<Vec<_>> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let names: Vec<_> = lines.iter().map(|line| line[0]).collect();
    ensure!(
        names == ["amazon-ssm-agent", "amazon-cloudwatch-agent", "cosign"],
        "{names:?}"
    );
    for line in lines {
        let [_, _, key, fingerprint, address] = line[..] else {
            anyhow::bail!("{line:?} has not five fields");
        };
        ensure!(
            key.starts_with("https://") || root().join("ami/keys").join(key).is_file(),
            "{line:?}"
        );
        ensure!(
            [40, 64].contains(&fingerprint.len()) && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{line:?}"
        );
        ensure!(
            address.starts_with("https://") && address.contains("{version}") && address.contains("{arch}"),
            "{line:?}"
        );
    }
    Ok(())
}
