//! What must be on no image: each is planted once, and has to be found by its own check.

use anyhow::{Context, Result};

/// Something that is planted.
#[derive(Debug)]
pub(crate) struct Plant {
    /// The check that has to find it.
    pub(crate) check: &'static str,
    /// The words by which it is named, as nothing else that is planted.
    pub(crate) found: &'static str,
    /// What plants it in the image's root, the current directory.
    pub(crate) script: String,
}

pub(crate) fn plants() -> Result<Vec<Plant>> {
    PLANTS.trim().lines().map(plant).collect()
}

fn plant(line: &'static str) -> Result<Plant> {
    let (check, rest) = line.split_once(" | ").context(line)?;
    let (found, script) = match rest.split_once(" | ") {
        Some((found, script)) => (found, script.to_owned()),
        None => (rest, format!("install -D /dev/stdin .{rest} <<<secret")),
    };
    Ok(Plant { check, found, script })
}

/// All of them, in few groups whose plants cannot be taken for each other.
pub(crate) fn rounds() -> Result<Vec<Vec<Plant>>> {
    let mut rounds: Vec<Vec<Plant>> = Vec::new();
    for plant in plants()? {
        let fits = |round: &&mut Vec<Plant>| round.iter().all(|other| apart(other, &plant));
        match rounds.iter_mut().find(fits) {
            Some(round) => round.push(plant),
            None => rounds.push(vec![plant]),
        }
    }
    Ok(rounds)
}

/// Other checks find them, and what names the one has no part in the other. Of homes there is one: whatever is in one is found by
/// another check as well, which names three paths and counts the others.
fn apart(one: &Plant, other: &Plant) -> bool {
    let has = |plant: &Plant, named: &Plant| plant.script.contains(named.found.trim_start_matches('/'));
    let at_home = |plant: &Plant| plant.script.contains("home/") || plant.script.contains("root/.");
    let meet = has(one, other) || has(other, one) || (at_home(one) && at_home(other));
    one.check != other.check && !meet
}

/// A line for each: the check, by what it is named, and what plants it; a file that may not be there, whatever is in it, is
/// named alone.
const PLANTS: &str = r#"
ssh_host_keys | /etc/ssh/ssh_host_ed25519_key
ssh_host_keys | /srv/a/ssh_host_rsa_key
ssh_host_keys | /srv/dropbear/dropbear_ed25519_host_key
authorized_keys | /root/.ssh/authorized_keys
authorized_keys | /home/admin/.ssh/authorized_keys2
authorized_keys | /var/lib/t0rn-agent/.ssh/authorized_keys
authorized_keys | /etc/ssh/authorized_keys
authorized_keys | /etc/ssh/authorized_keys.d/admin
private_keys | /srv/a/a.pem | mkdir -p srv/a && printf -- '-----BEGIN RSA PRIVATE KEY-----\nAAAA\n' >srv/a/a.pem
private_keys | /srv/a/a.yaml | mkdir -p srv/a && printf 'key: "-----BEGIN PRIVATE KEY-----\\nAAAA"' >srv/a/a.yaml
private_keys | /usr/share/x.pem | echo '-----BEGIN PRIVATE KEY-----' >usr/share/x.pem
ssh_settings | /etc/ssh/sshd_config.d/10-key.conf | echo 'HostKey /srv/key' >etc/ssh/sshd_config.d/10-key.conf
ssh_settings | /etc/ssh/sshd_config | echo ' authorizedkeysfile=/srv/%u' >>etc/ssh/sshd_config
credentials | /srv/a/.aws/credentials
credentials | /srv/a/.netrc
credentials | /srv/aws/credentials
credentials | /srv/a/.git-credentials
credentials | /srv/a/.npmrc
credentials | /srv/a/.pgpass
credentials | /srv/a/.kube/config
credentials | /srv/a/.ssh/deploy
docker_credentials | /srv/docker/config.json
docker_credentials | /root/.docker/config.json
docker_credentials | /home/admin/.docker/config.json
docker_credentials | /var/lib/t0rn-agent/.docker/config.json
docker_credentials | /etc/t0rn-agent/registry.json
build_settings | /etc/apt/auth.conf.d/a
build_settings | /etc/collator.env | echo AWS_SECRET_ACCESS_KEY=x >etc/collator.env
build_settings | /etc/apt/apt.conf.d/99proxy | echo 'Acquire::http::Proxy "http://builder:3128";' >etc/apt/apt.conf.d/99proxy
build_settings | /etc/apt/apt.conf.d/99proxy | echo '/* of the builder */ Acquire::http::Proxy "http://builder:3128";' >etc/apt/apt.conf.d/99proxy
build_settings | /etc/systemd/system/docker.service.d/chain-volume.conf | echo 'Environment=HTTPS_PROXY=http://me:word@proxy:3128' >>etc/systemd/system/docker.service.d/chain-volume.conf
build_settings | /etc/docker/daemon.json | echo '{"proxies": {"https-proxy": "http://me:word@proxy:3128"}}' >etc/docker/daemon.json
build_settings | /etc/apt/sources.list.d/a.list | echo 'deb https://token@example.org/debian a b' >etc/apt/sources.list.d/a.list
build_settings | /etc/profile.d/aws.sh | echo 'export AWS_SECRET_ACCESS_KEY=a' >etc/profile.d/aws.sh
chain_keys | /srv/keystore/x
chain_keys | /srv/node-key
chain_keys | /var/lib/t0rn-collator/chains/t0rn/keystore/6175726100
chain_keys | /var/lib/t0rn-collator/polkadot/chains/rococo/keystore/6175726100
chain_keys | /var/lib/t0rn-collator/chains/t0rn/network/secret_ed25519
chain_keys | /var/lib/t0rn-collator/polkadot/chains/rococo/network/secret_ed25519
chain_keys | /srv/node/chains/t0rn/network/secret_ed25519
chain_keys | /var/lib/t0rn-collator/a/b/617572610000000000000000000000000000000000000000000000000000000000000000 | d=var/lib/t0rn-collator/a/b; mkdir -p $d && echo key >$d/$(printf '61757261%064d' 0)
cloud_configuration | /etc/cloud/cloud.cfg.d/00_x.cfg | echo 'runcmd: [ls]' >etc/cloud/cloud.cfg.d/00_x.cfg
cloud_configuration | /etc/cloud/cloud.cfg.d/95-secret.cfg | echo 'password: a' >etc/cloud/cloud.cfg.d/95-secret.cfg
network_secrets | /etc/wireguard/wg0.conf
network_secrets | /etc/openvpn/client.key
network_secrets | /etc/letsencrypt/live/a/privkey.pem
network_secrets | /etc/NetworkManager/system-connections/w.nmconnection
network_secrets | /etc/credstore/a
network_secrets | /etc/credstore.encrypted/a
swap | /swapfile
swap | /swap.img
core_dumps | /core.123
core_dumps | /var/lib/systemd/coredump/core.1
shell_history | /srv/a/.bash_history
shell_history | /srv/a/.zhistory
shell_history | /root/.bash_history
shell_history | /home/admin/.zsh_history
beneath_mounts | /run/a/b
beneath_mounts | /dev/shm/a
account_backups | /var/backups/shadow.bak
account_backups | /etc/passwd- | cp etc/passwd etc/passwd-
known_hosts | /root/.ssh/known_hosts
private_ssh_keys | /home/admin/.ssh/id_ed25519
homes | /root/.netrc
homes | /home/admin/.aws | mkdir -p home/admin/.aws && echo secret >home/admin/.aws/credentials
homes | /etc/skel/.ssh | mkdir -p etc/skel/.ssh
cloud_init_instance | /var/lib/cloud/seed/nocloud/user-data
cloud_init_instance | /var/lib/cloud/instances/i-1/datasource
cloud_init_instance | /var/lib/cloud/instance | mkdir -p var/lib/cloud && ln -s instances/i-1 var/lib/cloud/instance
cloud_init_leftovers | /etc/cloud/cloud.cfg.d/99-seed.cfg
cloud_init_leftovers | /etc/netplan/50-cloud-init.yaml
cloud_init_leftovers | /etc/cloud/cloud-init.disabled | touch etc/cloud/cloud-init.disabled
logs | /var/log/syslog
logs | /var/log/wtmp
logs | /var/log/amazon/ssm/agent.log
journal | /var/log/journal/0123/system.journal | mkdir -p var/log/journal/0123 && touch var/log/journal/0123/system.journal
hostname | /etc/hostname
hostname | /etc/hosts | echo 127.0.1.1 builder >>etc/hosts
machine_id | /etc/machine-id | echo 0123456789abcdef0123456789abcdef >etc/machine-id
machine_id | /etc/machine-id is missing, | rm etc/machine-id
machine_id | /var/lib/dbus/machine-id | rm -f var/lib/dbus/machine-id && echo 0123456789abcdef0123456789abcdef >var/lib/dbus/machine-id
dhcp_leases | /var/lib/dhcp/dhclient.eth0.leases
package_caches | /var/cache/apt/archives/some.deb
package_caches | /var/lib/apt/lists/some_Packages
ssm_registration | /var/lib/amazon/ssm/Vault/Store/RegistrationKey
random_seed | /var/lib/systemd/random-seed
random_seed | /var/lib/systemd/credential.secret
host_identity | /etc/nvme/hostid
agent_state | /var/lib/t0rn-agent/state.json
agent_configuration | /etc/t0rn-agent/node-key
agent_configuration | /etc/t0rn-agent/agent.toml | printf '[notify]\nwebhook = "https://example.com/secret"\n' >>etc/t0rn-agent/agent.toml
agent_configuration | /etc/t0rn-agent/agent.toml | printf 'notify = { webhook = "https://example.com/secret" }\n' | cat - etc/t0rn-agent/agent.toml >a && mv a etc/t0rn-agent/agent.toml
agent_configuration | /etc/t0rn-agent/agent.toml | printf '[collator]\ncommand = ["--node-key", "ab"]\n' >etc/t0rn-agent/agent.toml
docker_containers | /var/lib/docker/containers/0123/config.v2.json
docker_containers | /var/lib/docker/volumes/0123/_data | mkdir -p var/lib/docker/volumes/0123/_data
identity_volume | /var/lib/t0rn-identity/node-key
temporary_files | /tmp/script_1.sh
temporary_files | /var/tmp/packer/run
passwords | /etc/shadow:root | sed -i 's|^root:[^:]*:|root:$6$salt$hash:|' etc/shadow
passwords | /etc/shadow:daemon | sed -i 's|^daemon:[^:]*:|daemon:!$6$salt$hash:|' etc/shadow
passwords | /etc/shadow:root | sed -i 's|^root:[^:]*:|root::|' etc/shadow
passwords | /etc/passwd:daemon | sed -i 's|^daemon:x:|daemon:$6$salt$hash:|' etc/passwd
passwords | /etc/passwd:daemon | sed -i 's|^daemon:x:|daemon::|' etc/passwd
passwords | /etc/gshadow:adm | sed -i 's|^adm:[^:]*:|adm:$6$salt$hash:|' etc/gshadow
administrators | sudo:deploy | echo "deploy:x:1500:$(awk -F : '$1 == "sudo" { print $3 }' etc/group)::/srv:/bin/sh" >>etc/passwd
administrators | docker:deploy | echo "deploy:x:1500:$(awk -F : '$1 == "docker" { print $3 }' etc/group)::/srv:/bin/sh" >>etc/passwd
administrators | /etc/passwd:toor | echo 'toor:x:0:0::/root:/bin/sh' >>etc/passwd
administrators | docker:admin | sed -i 's/^docker:.*/&,admin/' etc/group
sudo_settings | /etc/sudoers | echo 'Defaults !authenticate' >>etc/sudoers
sudo_settings | /etc/sudoers | echo '%adm ALL=(ALL) NOPASSWD:ALL' >>etc/sudoers
sudoers | /etc/sudoers.d/90-cloud-init-users
personal_jobs_and_mail | /var/spool/cron/crontabs/root
tls_keys | /etc/ssl/private/ssl-cert-snakeoil.key
masked_ssh.service | it could be started | rm etc/systemd/system/ssh.service
enabled_t0rn-agent | t0rn-agent.service | rm etc/systemd/system/multi-user.target.wants/t0rn-agent.service
enabled_t0rn-user-data | t0rn-user-data.service | rm etc/systemd/system/multi-user.target.wants/t0rn-user-data.service
disabled_docker.socket | it is enabled | mkdir -p etc/systemd/system/sockets.target.wants && ln -s /lib/systemd/system/docker.socket etc/systemd/system/sockets.target.wants/
installed_files | /etc/systemd/system/t0rn-user-data.service | printf '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n' >etc/systemd/system/t0rn-user-data.service
installed_files | /usr/lib/t0rn-agent/user-data | rm usr/lib/t0rn-agent/user-data
installed_files | /etc/systemd/system/var-lib-t0rn\x2dcollator.mount | echo '# changed' >>'etc/systemd/system/var-lib-t0rn\x2dcollator.mount'
installed_files | /usr/lib/t0rn-agent/rootfs.sha256 is missing | rm usr/lib/t0rn-agent/rootfs.sha256
disabled_amazon-cloudwatch-agent | it is enabled, | ln -s /lib/systemd/system/amazon-cloudwatch-agent.service etc/systemd/system/multi-user.target.wants/
no_collection | /opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d/t0rn-agent.json
agent | /usr/bin/t0rn-agent | rm usr/bin/t0rn-agent
agent | /usr/bin/t0rn-agent | ln -sf true usr/bin/t0rn-agent
agent | /usr/bin/t0rn-agent | rm usr/bin/t0rn-agent && printf '#!/bin/sh\nexit 1\n' >usr/bin/t0rn-agent && chmod 755 usr/bin/t0rn-agent
made_of | /usr/lib/t0rn-agent/made-of | rm usr/lib/t0rn-agent/made-of
"#;
