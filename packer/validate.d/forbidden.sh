# shellcheck shell=bash
# What may not be on the machine: secrets, wherever it came from, and in an image what belongs to the machine that baked.
# Sourced by packer/validate, which has set `view`, `root`, `booting`, `parts`, `data` and `clean`.
# shellcheck disable=SC2154

# Every path that is searched.
files=

# What no machine that starts from the image may have either.
secrets() {
    local elsewhere="remove it, and replace what was in it: it may have been seen"
    files=$(all_files)
    { everywhere 'ssh_host_[^/]*|dropbear_[^/]*key'; there "$view"/etc/ssh/ssh_host_*; } | foreign | none ssh_host_keys "$clean"
    everywhere 'authorized_keys[^/]*(/.+)?' | foreign | none authorized_keys "$clean; SSH is no way in"
    everywhere '(ssh_)?known_hosts[^/]*' | none known_hosts "$clean"
    everywhere 'id_(rsa|dsa|ecdsa|ed25519|xmss)[^/]*' | none private_ssh_keys "$elsewhere"
    private_keys | unpackaged | foreign | none private_keys "$elsewhere"
    grep -lisE '^[[:space:]]*(HostKey|HostCertificate|HostKeyAgent|AuthorizedKeys[a-z]*|AuthorizedPrincipals[a-z]*|TrustedUserCAKeys)[[:space:]=]' \
        "$view"/etc/ssh/sshd_config "$view"/etc/ssh/sshd_config.d/* | none ssh_settings "leave keys where sshd expects them"
    everywhere '\.[^/]*_history|\.(z|sh)?history|\.hist(file|ory)|\.lesshst|\.viminfo|\.wget-hsts|fish_history' | none shell_history "$clean"
    everywhere '\.(aws|azure|kube|ssh)/.+|\.config/(gh|gcloud)/.+|[._]netrc|\.curlrc|\.git-credentials|aws/credentials|\.npmrc|\.pypirc|\.pgpass|\.my\.cnf|\.vault-token|etc/kubernetes/.+' |
        grep -v '/authorized_keys' | none credentials "$elsewhere"
    filled "$view"/etc/{wireguard,openvpn,letsencrypt,NetworkManager/system-connections,credstore,credstore.encrypted} |
        none network_secrets "$elsewhere"
    docker_credentials | foreign | none docker_credentials "$clean; log in again elsewhere: the old token may have been seen"
    passwords | none passwords "run ami/harden.sh"
    administrators | none administrators "remove the account, or its right"
    grep -lE '^[^#]*(NOPASSWD|!authenticate)' "$view/etc/sudoers" 2>/dev/null | none sudo_settings "root's rights need a password"
}

# everywhere EXPRESSION: paths on the whole image, but for manuals and Docker's layers, that end in an extended regular expression.
everywhere() {
    grep -E "/($1)\$" <<<"$files"
}

all_files() {
    find "$view/" -xdev \( -path "$view/var/lib/docker/overlay2" -o -path "$view/usr/share/man" -o -path "$view/usr/share/doc" \) \
        -prune -o -print 2>/dev/null
}

# By what is in a file.
private_keys() {
    find "$view/" -xdev -path "$view/var/lib/docker/overlay2" -prune -o -type f -size -16M -print0 2>/dev/null |
        xargs -0r grep -lIsE -- '-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----|^PuTTY-User-Key-File-'
}

# Without what packages bring, such as samples of keys.
unpackaged() {
    local path
    while read -r path; do grep -qxF -- "/${path#"$view"/}" "$view"/var/lib/dpkg/info/*.list 2>/dev/null || echo "$path"; done
}

# Without what a boot and its user-data bring: what is the instance's own, and empty files for keys.
foreign() {
    local own='etc/(ssh/ssh_host_|docker/key\.json|t0rn-agent/)|var/lib/(cloud|amazon|t0rn-[a-z]+)/' path
    [ -n "$booting" ] || { cat && return; }
    grep -vE "^/+($own)" | while read -r path; do [ ! -s "$path" ] || echo "$path"; done
}

docker_credentials() {
    everywhere '\.docker(/.*)?|\.dockercfg|containers/auth\.json|docker/config\.json'
    there "$view"/etc/docker/key.json "$view"/etc/t0rn-agent/registry.json
}

# Accounts and groups that have a password, or had one.
passwords() {
    local file
    for file in "$view"/etc/shadow "$view"/etc/shadow-; do
        awk -F : -v file="$file" '$2 !~ /^(\*|!\*?|!!|!\*!*)$/ { print file ":" $1 }' "$file" 2>/dev/null
    done
    awk -F : '$2 !~ /^[x*!]$/ { print "/etc/passwd:" $1 }' "$view/etc/passwd"
    awk -F : '$2 !~ /^[*!]*$/ { print "/etc/gshadow:" $1 }' "$view/etc/gshadow" 2>/dev/null
}

# By number, by a group's list, and by what is an account's own group.
administrators() {
    awk -F : '$3 == 0 && $1 != "root" { print "/etc/passwd:" $1 }' "$view/etc/passwd"
    awk -F : 'FNR < NR { if ($4 in group) print group[$4] ":" $1; next }
        $1 ~ /^(sudo|docker|t0rn-agent)$/ { group[$3] = $1; for (i = split($4, name, ","); i > 0; i--) print $1 ":" name[i] }' \
        "$view/etc/group" "$view/etc/passwd" | grep -vxE '(docker|t0rn-agent):t0rn-agent'
    true
}

leftovers() {
    local entry
    homes | none homes "$clean; a home keeps .bashrc, .profile and .bash_logout"
    filled "$view/var/lib/cloud" | none cloud_init_instance "$clean"
    cloud_leftovers | none cloud_init_leftovers "$clean"
    cloud_configuration | none cloud_configuration "remove it: it would be every instance's; user-data is the place for it"
    logs | none logs "$clean"
    find "$view/var/log/journal" -xdev -mindepth 1 2>/dev/null | none journal "$clean"
    hostname_left | none hostname "$clean"
    machine_id
    filled "$view"/var/lib/{dhcp,dhcpcd,dhclient,NetworkManager,systemd/network} "$view"/var/lib/systemd/netif | none dhcp_leases "$clean"
    { filled "$view/var/cache/apt/archives" "$view/var/lib/apt/lists"; there "$view"/var/cache/apt/*.bin; } |
        grep -v '/lock$' | none package_caches "$clean"
    filled "$view/var/lib/amazon" | none ssm_registration "$clean"
    there "$view"/var/lib/systemd/{random-seed,credential.secret} "$view"/var/lib/urandom/random-seed \
        "$view"/boot/{efi/,}loader/random-seed | none random_seed "$clean"
    host_identity | none host_identity "$clean"
    { filled "$view/var/lib/systemd/coredump" "$view/var/crash"; there "$view"/{,root/}core{,.[0-9]*}; } | none core_dumps "$clean"
    there "$view"/{swapfile,swap.img,var/swap*} | none swap "remove it: what was in memory is in it"
    find "$view/var/lib/t0rn-agent" -xdev -mindepth 1 2>/dev/null | none agent_state "$clean"
    agent_configuration | none agent_configuration "an image has the package's own, and no secret: leave it to user-data"
    # Where it is mounted, for Docker's files may lie on a volume of their own.
    find "$root"/var/lib/docker/{containers,swarm,volumes} -xdev -mindepth 1 \
        ! -name metadata.db ! -name backingFsBlockDev 2>/dev/null | none docker_containers "$clean"
    chain_keys | none chain_keys "use an image that t0rn-agent bake made; a key that was in one is lost: rotate it"
    find "$view/var/lib/t0rn-identity" -xdev -mindepth 1 2>/dev/null | none identity_volume "the identity is never part of an image"
    temporary | none temporary_files "$clean"
    filled "$view/run" "$view/dev/shm" | none beneath_mounts "$clean"
    for entry in "$view"/etc/sudoers.d/*; do [ "${entry##*/}" = README ] || echo "$entry"; done | none sudoers "$clean"
    there "$view"/var/backups/*{passwd,shadow,group}* "$view"/etc/{passwd,group,gshadow}- | none account_backups "$clean"
    filled "$view"/var/spool/cron/crontabs "$view"/var/spool/cron/atjobs "$view"/var/mail "$view"/var/spool/mail |
        none personal_jobs_and_mail "$clean"
    build_settings | none build_settings "remove the proxy, the credentials or the source of the machine that baked"
    filled "$view/etc/ssl/private" | none tls_keys "$clean"
}

homes() {
    find "$view/root" "$view"/home/* "$view/etc/skel" -mindepth 1 -maxdepth 1 \
        ! -name .bashrc ! -name .profile ! -name .bash_logout 2>/dev/null
}

# Where cloud-init would find what it did, or what it should do, before it asks the cloud.
cloud_leftovers() {
    local entry
    there "$view"/etc/cloud/{cloud-init.disabled,ds-identify.cfg} "$view"/etc/cloud/cloud.cfg.d/99-* \
        "$view"/etc/netplan/50-cloud-init.yaml "$view"/etc/network/interfaces.d/50-cloud-init* \
        "$view"/etc/systemd/network/*cloud-init* "$view"/etc/udev/rules.d/70-persistent-net.rules "$view"/run/cloud-init
}

# What is neither the distribution's, by the names of Debian's images, nor this image's, and what no image is to say.
cloud_configuration() {
    find "$view/etc/cloud/cloud.cfg.d" -mindepth 1 -regextype posix-extended \
        ! -regex '.*/(README|0[0-9]_[a-z_]*\.cfg|90_dpkg\.cfg|90_t0rn-agent\.cfg|99-[^/]*)' 2>/dev/null
    grep -lisE '^[[:space:]]*-?[[:space:]]*(ssh[_-](authorized[_-]keys|import[_-]id)|[a-z_]*passwd|(run|boot)cmd|write[_-]files)[[:space:]]*:' \
        "$view"/etc/cloud/cloud.cfg.d/*
}

# An image has log files, and nothing in them.
logs() {
    filled "$view/var/log" ! -path "$view/var/log/journal/*" | grep -v '/README$'
    filled "$view"/opt/aws/amazon-cloudwatch-agent/logs
}

hostname_left() {
    case $(cat "$view/etc/hostname" 2>/dev/null) in '' | localhost) ;; *) echo /etc/hostname ;; esac
    grep -qE '^127\.0\.1\.1[[:space:]]' "$view/etc/hosts" 2>/dev/null && echo /etc/hosts
    true
}

machine_id() {
    [ -e "$view/etc/machine-id" ] ||
        { fail machine_id "/etc/machine-id is missing, which makes of every boot a first one; make it empty: ami/clean.sh" && return; }
    {
        case $(cat "$view/etc/machine-id") in '' | uninitialized) ;; *) echo /etc/machine-id ;; esac
        find "$view/var/lib/dbus/machine-id" -type f 2>/dev/null
    } | none machine_id "two machines would be one; $clean"
}

host_identity() {
    there "$view"/etc/{nvme/hostid,nvme/hostnqn,iscsi/initiatorname.iscsi,krb5.keytab,machine-info} "$root/var/lib/docker/engine-id"
    filled "$view/var/lib/chrony"
}

# What the package and the image bring, and public specifications of chains.
agent_configuration() {
    local entry sum
    for entry in "$view"/etc/t0rn-agent/*; do
        case ${entry##*/} in agent.toml | chain-volume.conf | user-data.conf | specs) ;; *) echo "$entry" ;; esac
    done
    find "$view/etc/t0rn-agent/specs" -mindepth 1 ! -name '*.json' 2>/dev/null
    # Secrets can be written in many ways: the file has to be the package's, whose sum dpkg knows.
    sum=$(sed -n 's|^ /etc/t0rn-agent/agent.toml ||p' "$view/var/lib/dpkg/status")
    [ "$(md5sum <"$view/etc/t0rn-agent/agent.toml" | cut -d ' ' -f 1)" = "$sum" ] || echo /etc/t0rn-agent/agent.toml
}

# Of both chains, at any depth, by name and by what a key file is called; also where the data is a volume of its own.
chain_keys() {
    local dirs=("$view$data") dir
    [ -n "$root" ] || dirs+=("$data")
    for dir in "${dirs[@]}"; do
        [ -d "$dir" ] || continue
        find "$dir" -path '*/keystore/*' -print -o -name 'secret_ed25519*' -print -o -name 'node-key*' -print
        find "$dir" -type f -regextype posix-extended -regex '.*/[0-9a-f]{72,}'
    done
    everywhere 'secret_ed25519|keystore/.+|[0-9a-f]{72,}|node-?key([._-][^/]*)?'
}

temporary() {
    local file running
    running=$(running)
    find "$view/tmp" "$view/var/tmp" -xdev -mindepth 1 ! -type d 2>/dev/null | while read -r file; do
        grep -qxF -- "/${file#"$view"/}" <<<"$running" || echo "$file"
    done
    there "$view"/{packer,ami} "$view"/root/{packer,ami} "$view"/opt/packer*
}

# The files in temporary directories that this process and its ancestors were started from: packer deletes its own.
# Of this program that is the directory with its parts, too.
running() {
    local pid=$$ word
    [ -z "$root" ] || return 0
    while [ "$pid" -gt 1 ]; do
        while IFS= read -r -d '' word; do
            case $word in /tmp/* | /var/tmp/*) echo "$word" ;; esac
        done <"/proc/$pid/cmdline"
        pid=$(awk '$1 == "PPid:" { print $2 }' "/proc/$pid/status")
    done
    for word in "$parts"/*; do
        case $word in /tmp/* | /var/tmp/*) echo "$word" ;; esac
    done
}

build_settings() {
    # Whatever comes before it on the line, but a comment that it is part of.
    grep -rliP '^(?!\s*(#|//)).*(proxy|password)' "$view"/etc/apt/apt.conf "$view"/etc/apt/apt.conf.d 2>/dev/null
    grep -lisE '^[^#]*proxy' "$view/etc/environment"
    grep -rlisE '^[^#]*(aws_|token|secret|password)[a-z_]*=' "$view"/etc/{environment,environment.d,profile,profile.d,default,systemd/system} \
        "$view"/{etc,opt,srv}/*.env "$view"/usr/{,local/}lib/systemd/system
    grep -rlsE '://[^/@[:space:]]+@' "$view"/etc/apt/sources.list "$view"/etc/apt/sources.list.d
    grep -rlsIE '://[^/@[:space:]]*:[^/@[:space:]]+@' "$view/etc"
    filled "$view/etc/apt/auth.conf.d"
    there "$view/etc/apt/auth.conf"
}
