//! What must be on no image: each is planted once, and has to be found by its own check.

/// What is planted in the image's root, the current directory, and the check that has to find it.
pub(crate) const PLANTS: &[(&str, &str)] = &[
    ("ssh_host_keys", "echo key >etc/ssh/ssh_host_ed25519_key"),
    (
        "authorized_keys",
        "mkdir -p root/.ssh && echo key >root/.ssh/authorized_keys",
    ),
    (
        "authorized_keys",
        "mkdir -p home/admin/.ssh && echo key >home/admin/.ssh/authorized_keys2",
    ),
    (
        "authorized_keys",
        "mkdir -p var/lib/t0rn-agent/.ssh && echo key >var/lib/t0rn-agent/.ssh/authorized_keys",
    ),
    ("authorized_keys", "echo key >etc/ssh/authorized_keys"),
    (
        "authorized_keys",
        "mkdir -p etc/ssh/authorized_keys.d && echo key >etc/ssh/authorized_keys.d/admin",
    ),
    ("ssh_host_keys", "mkdir -p srv/a && echo key >srv/a/ssh_host_rsa_key"),
    (
        "ssh_host_keys",
        "mkdir -p srv/dropbear && echo key >srv/dropbear/dropbear_ed25519_host_key",
    ),
    (
        "private_keys",
        "mkdir -p srv/a && printf -- '-----BEGIN RSA PRIVATE KEY-----\\nAAAA\\n' >srv/a/a.pem",
    ),
    (
        "private_keys",
        "mkdir -p srv/a && printf 'key: \"-----BEGIN PRIVATE KEY-----\\\\nAAAA\"' >srv/a/a.yaml",
    ),
    (
        "ssh_settings",
        "echo 'HostKey /srv/key' >etc/ssh/sshd_config.d/10-key.conf",
    ),
    (
        "ssh_settings",
        "echo ' authorizedkeysfile=/srv/%u' >>etc/ssh/sshd_config",
    ),
    ("credentials", "mkdir -p srv/a/.aws && echo key >srv/a/.aws/credentials"),
    ("credentials", "mkdir -p srv/a && echo key >srv/a/.netrc"),
    ("credentials", "mkdir -p srv/aws && echo key >srv/aws/credentials"),
    (
        "docker_credentials",
        "mkdir -p srv/docker && echo x >srv/docker/config.json",
    ),
    ("build_settings", "echo AWS_SECRET_ACCESS_KEY=x >etc/collator.env"),
    ("chain_keys", "mkdir -p srv/keystore && echo key >srv/keystore/x"),
    ("chain_keys", "mkdir -p srv && echo key >srv/node-key"),
    ("private_keys", "echo '-----BEGIN PRIVATE KEY-----' >usr/share/x.pem"),
    (
        "cloud_configuration",
        "echo 'runcmd: [ls]' >etc/cloud/cloud.cfg.d/00_x.cfg",
    ),
    ("credentials", "mkdir -p srv/a && echo key >srv/a/.git-credentials"),
    ("credentials", "mkdir -p srv/a && echo key >srv/a/.npmrc"),
    ("credentials", "mkdir -p srv/a && echo key >srv/a/.pgpass"),
    ("credentials", "mkdir -p srv/a/.kube && echo key >srv/a/.kube/config"),
    ("credentials", "mkdir -p srv/a/.ssh && echo key >srv/a/.ssh/deploy"),
    (
        "network_secrets",
        "mkdir -p etc/wireguard && echo key >etc/wireguard/wg0.conf",
    ),
    (
        "network_secrets",
        "mkdir -p etc/openvpn && echo key >etc/openvpn/client.key",
    ),
    (
        "network_secrets",
        "d=etc/letsencrypt/live/a; mkdir -p $d && echo key >$d/privkey.pem",
    ),
    (
        "network_secrets",
        "d=etc/NetworkManager/system-connections; mkdir -p $d && echo key >$d/w.nmconnection",
    ),
    ("network_secrets", "mkdir -p etc/credstore && echo key >etc/credstore/a"),
    (
        "network_secrets",
        "mkdir -p etc/credstore.encrypted && echo key >etc/credstore.encrypted/a",
    ),
    ("swap", "echo memory >swapfile"),
    ("swap", "echo memory >swap.img"),
    ("core_dumps", "echo memory >core.123"),
    ("shell_history", "mkdir -p srv/a && echo ls >srv/a/.bash_history"),
    ("shell_history", "mkdir -p srv/a && echo ls >srv/a/.zhistory"),
    ("beneath_mounts", "mkdir -p run/a && echo secret >run/a/b"),
    ("beneath_mounts", "mkdir -p dev/shm && echo secret >dev/shm/a"),
    (
        "account_backups",
        "mkdir -p var/backups && echo 'root:hash' >var/backups/shadow.bak",
    ),
    ("account_backups", "cp etc/passwd etc/passwd-"),
    (
        "cloud_configuration",
        "echo 'password: a' >etc/cloud/cloud.cfg.d/95-secret.cfg",
    ),
    ("known_hosts", "mkdir -p root/.ssh && echo host >root/.ssh/known_hosts"),
    (
        "private_ssh_keys",
        "mkdir -p home/admin/.ssh && echo key >home/admin/.ssh/id_ed25519",
    ),
    ("shell_history", "echo ls >root/.bash_history"),
    (
        "shell_history",
        "mkdir -p home/admin && echo ls >home/admin/.zsh_history",
    ),
    (
        "homes",
        "mkdir -p home/admin/.aws && echo secret >home/admin/.aws/credentials",
    ),
    ("homes", "echo secret >root/.netrc"),
    ("homes", "mkdir -p etc/skel/.ssh"),
    (
        "cloud_init_instance",
        "mkdir -p var/lib/cloud/instances/i-1 && echo i-1 >var/lib/cloud/instances/i-1/datasource",
    ),
    (
        "cloud_init_instance",
        "mkdir -p var/lib/cloud/seed/nocloud && echo '#!' >var/lib/cloud/seed/nocloud/user-data",
    ),
    (
        "cloud_init_instance",
        "mkdir -p var/lib/cloud && ln -s instances/i-1 var/lib/cloud/instance",
    ),
    (
        "cloud_init_leftovers",
        "echo 'datasource: {}' >etc/cloud/cloud.cfg.d/99-seed.cfg",
    ),
    ("cloud_init_leftovers", "touch etc/cloud/cloud-init.disabled"),
    (
        "cloud_init_leftovers",
        "mkdir -p etc/netplan && echo mac >etc/netplan/50-cloud-init.yaml",
    ),
    ("logs", "echo line >var/log/syslog"),
    ("logs", "echo line >>var/log/wtmp"),
    (
        "logs",
        "mkdir -p var/log/amazon/ssm && echo line >var/log/amazon/ssm/agent.log",
    ),
    (
        "journal",
        "mkdir -p var/log/journal/0123 && touch var/log/journal/0123/system.journal",
    ),
    ("hostname", "echo builder >etc/hostname"),
    ("hostname", "echo 127.0.1.1 builder >>etc/hosts"),
    ("machine_id", "echo 0123456789abcdef0123456789abcdef >etc/machine-id"),
    ("machine_id", "rm etc/machine-id"),
    (
        "machine_id",
        "rm -f var/lib/dbus/machine-id && echo 0123456789abcdef0123456789abcdef >var/lib/dbus/machine-id",
    ),
    (
        "dhcp_leases",
        "mkdir -p var/lib/dhcp && echo lease >var/lib/dhcp/dhclient.eth0.leases",
    ),
    ("package_caches", "echo package >var/cache/apt/archives/some.deb"),
    ("package_caches", "echo list >var/lib/apt/lists/some_Packages"),
    (
        "ssm_registration",
        "mkdir -p var/lib/amazon/ssm/Vault/Store && echo key >var/lib/amazon/ssm/Vault/Store/RegistrationKey",
    ),
    ("random_seed", "echo seed >var/lib/systemd/random-seed"),
    ("random_seed", "echo secret >var/lib/systemd/credential.secret"),
    ("host_identity", "mkdir -p etc/nvme && echo id >etc/nvme/hostid"),
    (
        "core_dumps",
        "mkdir -p var/lib/systemd/coredump && echo core >var/lib/systemd/coredump/core.1",
    ),
    (
        "agent_state",
        "mkdir -p var/lib/t0rn-agent && echo '{}' >var/lib/t0rn-agent/state.json",
    ),
    (
        "agent_configuration",
        "printf '[notify]\\nwebhook = \"https://example.com/secret\"\\n' >>etc/t0rn-agent/agent.toml",
    ),
    (
        "agent_configuration",
        "printf 'notify = { webhook = \"https://example.com/secret\" }\\n' | cat - etc/t0rn-agent/agent.toml >a && mv a etc/t0rn-agent/agent.toml",
    ),
    (
        "agent_configuration",
        "printf '[collator]\\ncommand = [\"--node-key\", \"ab\"]\\n' >etc/t0rn-agent/agent.toml",
    ),
    ("agent_configuration", "echo key >etc/t0rn-agent/node-key"),
    (
        "docker_credentials",
        "mkdir -p root/.docker && echo '{}' >root/.docker/config.json",
    ),
    (
        "docker_credentials",
        "mkdir -p home/admin/.docker && echo '{}' >home/admin/.docker/config.json",
    ),
    (
        "docker_credentials",
        "mkdir -p var/lib/t0rn-agent/.docker && echo '{}' >var/lib/t0rn-agent/.docker/config.json",
    ),
    ("docker_credentials", "echo '{}' >etc/t0rn-agent/registry.json"),
    (
        "docker_containers",
        "mkdir -p var/lib/docker/containers/0123 && echo '{}' >var/lib/docker/containers/0123/config.v2.json",
    ),
    ("docker_containers", "mkdir -p var/lib/docker/volumes/0123/_data"),
    (
        "chain_keys",
        "d=var/lib/t0rn-collator/chains/t0rn/keystore; mkdir -p $d && echo key >$d/6175726100",
    ),
    (
        "chain_keys",
        "d=var/lib/t0rn-collator/polkadot/chains/rococo/keystore; mkdir -p $d && echo key >$d/6175726100",
    ),
    (
        "chain_keys",
        "d=var/lib/t0rn-collator/chains/t0rn/network; mkdir -p $d && echo key >$d/secret_ed25519",
    ),
    (
        "chain_keys",
        "d=var/lib/t0rn-collator/polkadot/chains/rococo/network; mkdir -p $d && echo key >$d/secret_ed25519",
    ),
    (
        "chain_keys",
        "d=var/lib/t0rn-collator/a/b; mkdir -p $d && echo key >$d/$(printf '61757261%064d' 0)",
    ),
    (
        "chain_keys",
        "d=srv/node/chains/t0rn/network; mkdir -p $d && echo key >$d/secret_ed25519",
    ),
    (
        "identity_volume",
        "mkdir -p var/lib/t0rn-identity && echo key >var/lib/t0rn-identity/node-key",
    ),
    ("temporary_files", "echo script >tmp/script_1.sh"),
    (
        "temporary_files",
        "mkdir -p var/tmp/packer && echo script >var/tmp/packer/run",
    ),
    ("passwords", "sed -i 's|^root:[^:]*:|root:$6$salt$hash:|' etc/shadow"),
    (
        "passwords",
        "sed -i 's|^daemon:[^:]*:|daemon:!$6$salt$hash:|' etc/shadow",
    ),
    ("passwords", "sed -i 's|^root:[^:]*:|root::|' etc/shadow"),
    ("passwords", "sed -i 's|^daemon:x:|daemon:$6$salt$hash:|' etc/passwd"),
    ("passwords", "sed -i 's|^daemon:x:|daemon::|' etc/passwd"),
    ("passwords", "sed -i 's|^adm:[^:]*:|adm:$6$salt$hash:|' etc/gshadow"),
    (
        "administrators",
        "echo \"deploy:x:1500:$(awk -F : '$1 == \"sudo\" { print $3 }' etc/group)::/srv:/bin/sh\" >>etc/passwd",
    ),
    (
        "administrators",
        "echo \"deploy:x:1500:$(awk -F : '$1 == \"docker\" { print $3 }' etc/group)::/srv:/bin/sh\" >>etc/passwd",
    ),
    ("sudo_settings", "echo 'Defaults !authenticate' >>etc/sudoers"),
    ("sudo_settings", "echo '%adm ALL=(ALL) NOPASSWD:ALL' >>etc/sudoers"),
    ("administrators", "echo 'toor:x:0:0::/root:/bin/sh' >>etc/passwd"),
    ("administrators", "sed -i 's/^docker:.*/&,admin/' etc/group"),
    (
        "sudoers",
        "echo 'admin ALL=(ALL) NOPASSWD:ALL' >etc/sudoers.d/90-cloud-init-users",
    ),
    (
        "personal_jobs_and_mail",
        "mkdir -p var/spool/cron/crontabs && echo '* * * * * id' >var/spool/cron/crontabs/root",
    ),
    (
        "build_settings",
        "echo 'Acquire::http::Proxy \"http://builder:3128\";' >etc/apt/apt.conf.d/99proxy",
    ),
    (
        "build_settings",
        "mkdir -p etc/apt/auth.conf.d && echo 'machine a password b' >etc/apt/auth.conf.d/a",
    ),
    (
        "build_settings",
        "echo '/* of the builder */ Acquire::http::Proxy \"http://builder:3128\";' >etc/apt/apt.conf.d/99proxy",
    ),
    (
        "build_settings",
        "echo 'Environment=HTTPS_PROXY=http://me:word@proxy:3128' >>etc/systemd/system/docker.service.d/chain-volume.conf",
    ),
    (
        "build_settings",
        "echo '{\"proxies\": {\"https-proxy\": \"http://me:word@proxy:3128\"}}' >etc/docker/daemon.json",
    ),
    (
        "build_settings",
        "echo 'deb https://token@example.org/debian a b' >etc/apt/sources.list.d/a.list",
    ),
    (
        "build_settings",
        "echo 'export AWS_SECRET_ACCESS_KEY=a' >etc/profile.d/aws.sh",
    ),
    (
        "tls_keys",
        "mkdir -p etc/ssl/private && echo key >etc/ssl/private/ssl-cert-snakeoil.key",
    ),
    ("masked_ssh.service", "rm etc/systemd/system/ssh.service"),
    (
        "enabled_t0rn-agent",
        "rm etc/systemd/system/multi-user.target.wants/t0rn-agent.service",
    ),
    (
        "enabled_t0rn-user-data",
        "rm etc/systemd/system/multi-user.target.wants/t0rn-user-data.service",
    ),
    (
        "disabled_docker.socket",
        "mkdir -p etc/systemd/system/sockets.target.wants && ln -s /lib/systemd/system/docker.socket etc/systemd/system/sockets.target.wants/",
    ),
    // Another unit of that name, and a script that is gone.
    (
        "installed_files",
        "printf '[Service]\\nExecStart=/bin/true\\n[Install]\\nWantedBy=multi-user.target\\n' >etc/systemd/system/t0rn-user-data.service",
    ),
    ("installed_files", "rm usr/lib/t0rn-agent/user-data"),
    (
        "installed_files",
        r"echo '# changed' >>'etc/systemd/system/var-lib-t0rn\x2dcollator.mount'",
    ),
    ("installed_files", "rm usr/lib/t0rn-agent/rootfs.sha256"),
    (
        "disabled_amazon-cloudwatch-agent",
        "ln -s /lib/systemd/system/amazon-cloudwatch-agent.service etc/systemd/system/multi-user.target.wants/",
    ),
    (
        "no_collection",
        "d=opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d; mkdir -p $d && echo '{}' >$d/t0rn-agent.json",
    ),
    ("agent", "rm usr/bin/t0rn-agent"),
    ("agent", "ln -sf true usr/bin/t0rn-agent"),
    (
        "agent",
        "rm usr/bin/t0rn-agent && printf '#!/bin/sh\\nexit 1\\n' >usr/bin/t0rn-agent && chmod 755 usr/bin/t0rn-agent",
    ),
    ("made_of", "rm usr/lib/t0rn-agent/made-of"),
];
