#!/usr/bin/env bash
# What a CIS benchmark asks of a server without logins. As root, after ami/install.sh; a second run changes nothing.
# The files under ami/rootfs hold the settings; here is what only commands can do. sshd that runs goes on until the next boot,
# because the machine that bakes is reached through it.
# usage: ami/harden.sh
set -euo pipefail

[ $# = 0 ] || { echo "usage: ami/harden.sh, on the machine itself" >&2 && exit 2; }
[ "$(id -u)" = 0 ] || { echo "harden: needs root" >&2 && exit 1; }

# No way in but Systems Manager: no account has a password, and nothing listens.
while IFS=: read -r name hash _; do
    case $hash in
    '*' | '!'*) ;;
    *) usermod --lock "$name" ;;
    esac
done </etc/shadow
# Locked is still a hash to be guessed.
sed -i -E 's/^([^:]+):![^:*]+:/\1:!*:/' /etc/shadow
passwd --quiet --lock root
# No account has root's rights by a group. The account that bakes keeps its own way until the clean-up.
for group in sudo adm docker t0rn-agent lxd; do
    for name in $(getent group "$group" | cut -d : -f 4 | tr ',' ' '); do
        [ "$name" = t0rn-agent ] || gpasswd --delete "$name" "$group" >/dev/null
    done
done
for unit in ssh.service ssh.socket sshd.service; do
    # Links, and not systemctl, which would refuse what an alias or a missing package makes of them.
    ln -sfn /dev/null "/etc/systemd/system/$unit"
done
rm -f /etc/systemd/system/multi-user.target.wants/ssh.service /etc/systemd/system/sockets.target.wants/ssh.socket
for unit in serial-getty@ttyS0.service getty@tty1.service debug-shell.service ctrl-alt-del.target; do
    case $unit in
    # The serial console shows the boot, and offers no login.
    *getty*) rm -f "/etc/systemd/system/getty.target.wants/$unit" ;;
    *) ln -sfn /dev/null "/etc/systemd/system/$unit" ;;
    esac
done

# Fewer set-user-ID programs.
for file in /usr/bin/{chfn,chsh,newgrp,gpasswd,mount,umount,su}; do
    # By dpkg's own means, so that an upgrade does not bring the bit back.
    if [ -u "$file" ] && ! dpkg-statoverride --list "$file" >/dev/null; then
        dpkg-statoverride --update --add root root 0755 "$file"
    fi
done
chmod 0700 /root
chmod 0600 /etc/shadow /etc/gshadow
chown root:root /etc/shadow /etc/gshadow
[ ! -d /etc/sudoers.d ] || chmod 0750 /etc/sudoers.d
for folder in cron.d cron.daily cron.hourly cron.monthly cron.weekly; do
    [ ! -d "/etc/$folder" ] || chmod 0700 "/etc/$folder"
done
[ ! -e /etc/crontab ] || chmod 0600 /etc/crontab

# New files belong to their maker alone, also for those who do not read profile.d.
[ ! -e /etc/login.defs ] || sed -i -E 's/^UMASK[[:space:]].*/UMASK\t\t027/' /etc/login.defs

# /tmp in memory, where nothing can be started from; it is emptied by each boot.
install -m 644 /usr/share/systemd/tmp.mount /etc/systemd/system/tmp.mount
systemctl --quiet enable tmp.mount

# A service that a base image may bring along and that nothing here needs.
for unit in rpcbind.socket rpcbind.service avahi-daemon.service exim4.service; do
    ln -sfn /dev/null "/etc/systemd/system/$unit"
done
echo "harden: done; what concerns logins holds from the next boot on"
