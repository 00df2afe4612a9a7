#!/usr/bin/env bash
# Takes away what belongs to the machine that baked and not to those that start from its image: identities, secrets, traces.
# The last thing before `packer/validate bake`; a second run changes nothing.
# usage: ami/clean.sh [--root DIR]     DIR: the root file system of a machine that does not run
set -euo pipefail
shopt -s nullglob dotglob

root=
data=/var/lib/t0rn-collator

main() {
    case "${1:-}" in
    '') ;;
    --root) root=$(realpath "$2") && [ "$root" != / ] || root= ;;
    *) echo "clean: unknown argument $1; usage: ami/clean.sh [--root DIR]" >&2 && exit 2 ;;
    esac
    [ "$(id -u)" = 0 ] || { echo "clean: needs root" >&2 && exit 1; }
    [ -n "$root" ] || quiet
    homes
    access
    identity
    services
    keys
    traces
    [ -n "$root" ] || beneath_mounts
    sync
    echo "clean: done"
}

# What would write again behind our back. For this boot only: the units stay enabled.
quiet() {
    local unit ssm=amazon-ssm-agent
    # A builder that is reached through Systems Manager keeps its agent; packer/bake put what that writes into memory.
    ! mountpoint --quiet /var/lib/amazon || ssm=
    for unit in t0rn-agent $ssm amazon-cloudwatch-agent apt-daily.timer apt-daily-upgrade.timer \
        unattended-upgrades rsyslog chrony; do
        systemctl --quiet stop "$unit" 2>/dev/null || true
    done
    # No container is part of an image, and one that is would be started by Docker's own policy.
    if docker version >/dev/null 2>&1; then
        docker ps --all --quiet | while read -r id; do docker rm --force --volumes "$id" >/dev/null; done
        docker volume prune --force >/dev/null
        systemctl --quiet stop docker.socket docker containerd 2>/dev/null || true
    fi
    journalctl --relinquish-var 2>/dev/null || true
}

# empty PATH…: what is in a directory, and not the directory. What is mounted there is no part of the image.
empty() {
    local dir
    for dir in "$@"; do
        [ -d "$root$dir" ] && [ ! -L "$root$dir" ] || continue
        ! mountpoint --quiet "$root$dir" || continue
        find "$root$dir" -xdev -mindepth 1 -delete
    done
}

remove() {
    local path
    for path in "$@"; do rm -rf "$root$path"; done
}

# A home keeps what a new one has, and nothing else.
homes() {
    local home entry
    for home in "$root/root" "$root"/home/* "$root/etc/skel"; do
        [ -d "$home" ] && [ ! -L "$home" ] || continue
        for entry in "$home"/*; do
            case ${entry##*/} in
            .bashrc | .profile | .bash_logout) ;;
            *) rm -rf "$entry" ;;
            esac
        done
    done
    # Homes elsewhere, of services: keys and known hosts only, the rest is the service's.
    cut -d : -f 6 "$root/etc/passwd" | sort -u | while read -r home; do
        [ "$home" = / ] || remove "$home/.ssh" "$home/.docker" "$home/.bash_history"
    done
}

access() {
    rm -rf "$root"/etc/ssh/ssh_host_* "$root"/etc/ssh/ssh_known_hosts "$root"/etc/ssh/authorized_keys*
    rm -f "$root"/etc/sudoers.d/{90-cloud-init-users,ssm-agent-users}
    rm -f "$root"/etc/sudoers.d/*packer*
    remove /etc/docker/key.json /etc/t0rn-agent/registry.json
    remove /etc/apt/auth.conf
    empty /etc/apt/auth.conf.d /etc/ssl/private /var/spool/cron/crontabs /var/spool/cron/atjobs
    # What they were before the last change, with the passwords of then.
    rm -f "$root"/etc/{passwd,shadow,group,gshadow,subuid,subgid}- "$root"/var/backups/*{passwd,shadow,group}*
}

identity() {
    : >"$root/etc/hostname"
    [ -L "$root/etc/machine-id" ] && rm -f "$root/etc/machine-id"
    # Empty, and not missing: that would be a first boot to systemd, which resets what is enabled.
    : >"$root/etc/machine-id"
    [ -L "$root/var/lib/dbus/machine-id" ] || remove /var/lib/dbus/machine-id
    sed -i -E '/^127\.0\.1\.1[[:space:]]/d' "$root/etc/hosts" 2>/dev/null || true
    remove /var/lib/systemd/{random-seed,credential.secret} /var/lib/urandom /boot/efi/loader/random-seed /boot/loader/random-seed
    remove /etc/{nvme/hostid,nvme/hostnqn,iscsi/initiatorname.iscsi,krb5.keytab,machine-info}
    empty /var/lib/dhcp /var/lib/dhcpcd /var/lib/dhclient /var/lib/NetworkManager /var/lib/systemd/network /var/lib/chrony
    rm -f "$root"/etc/udev/rules.d/70-persistent-net.rules "$root"/etc/netplan/50-cloud-init.yaml \
        "$root"/etc/network/interfaces.d/50-cloud-init* "$root"/etc/systemd/network/*cloud-init*
}

services() {
    # Not `cloud-init clean`: it leaves what it does not know.
    empty /var/lib/cloud /var/lib/amazon /var/lib/t0rn-agent /opt/aws/amazon-cloudwatch-agent/logs
    # Volumes keep the list that Docker has of them.
    find "$root"/var/lib/docker/{containers,swarm,tmp,volumes} -xdev -mindepth 1 \
        ! -name metadata.db ! -name backingFsBlockDev -delete 2>/dev/null || true
    # A removed container is still legible in the file of containerd's database, with its environment. Docker's images are not there.
    remove /var/lib/containerd/io.containerd.metadata.v1.bolt
    remove /var/lib/docker/engine-id /var/lib/t0rn-user-data
    rm -f "$root"/etc/cloud/cloud-init.disabled "$root"/etc/cloud/cloud.cfg.d/99-*
}

# Nothing here should be: `t0rn-agent bake` uses no keys but throw-away ones, and takes them away itself.
keys() {
    local dir
    for dir in "$data" /var/lib/t0rn-identity; do
        [ -d "$root$dir" ] || continue
        # Across file systems: the chain may lie on a volume of its own.
        find "$root$dir" -depth \( -name 'secret_ed25519*' -o -name 'node-key*' \) -exec rm -rf {} +
        find "$root$dir" -depth -type d -name keystore -exec rm -rf {} +
        find "$root$dir" -type f -regextype posix-extended -regex '.*/[0-9a-f]{72,}' -delete
    done
    remove /var/lib/t0rn-identity
}

traces() {
    empty /var/log/journal /var/log/apt /var/log/unattended-upgrades /var/log/amazon /var/log/chrony
    find "$root/var/log" -xdev -type f ! -name README -exec truncate --size 0 {} +
    find "$root/var/log" -xdev -type f \( -name '*.[0-9]' -o -name '*.gz' -o -name '*.old' -o -name 'cloud-init*' \) -delete
    empty /var/cache/apt/archives /var/lib/apt/lists /var/lib/systemd/coredump /var/crash /var/mail /var/spool/mail
    rm -f "$root"/var/cache/apt/*.bin "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old
    rm -f "$root"/{,root/}core "$root"/{,root/}core.[0-9]*
    remove /var/lib/sudo/lectured
    [ -z "$root" ] || empty /run /dev/shm
    temporary
}

# Temporary files, but for what is running and what came along with it: that is left to the caller.
temporary() {
    local entry running
    running=$([ -n "$root" ] || running)
    for entry in "$root"/tmp/* "$root"/var/tmp/*; do
        grep -qxF -- "$entry" <<<"$running" || rm -rf --one-file-system "$entry"
    done
}

# The entries of temporary directories that this process and its ancestors were started from.
running() {
    local pid=$$ word
    while [ "$pid" -gt 1 ]; do
        while IFS= read -r -d '' word; do
            case $word in
            /tmp/*) echo "/tmp/$(cut -d / -f 3 <<<"$word")" ;;
            /var/tmp/*) echo "/var/tmp/$(cut -d / -f 4 <<<"$word")" ;;
            esac
        done <"/proc/$pid/cmdline"
        pid=$(awk '$1 == "PPid:" { print $2 }' "/proc/$pid/status")
    done
}

# What lies on the disk under a /tmp, /run and /dev/shm that are in memory.
beneath_mounts() {
    local folder folders=()
    for folder in /tmp /run /dev/shm; do
        ! mountpoint --quiet "$folder" || folders+=("/mnt$folder")
    done
    # shellcheck disable=SC2016  # the inner shell expands it
    [ ${#folders[@]} = 0 ] || unshare --mount bash -c 'mount --bind / /mnt
        for folder; do [ ! -d "$folder" ] || find "$folder" -xdev -mindepth 1 -delete; done' bash "${folders[@]}"
}

main "$@"
