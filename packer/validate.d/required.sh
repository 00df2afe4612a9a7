# shellcheck shell=bash
# What has to be on the machine: in an image its units, files, programs and chain, and once it has booted that they run.
# Sourced by packer/validate, which has set `view`, `root`, `chain` and `data`.
# shellcheck disable=SC2154

# What the image has to bring: files and links, so that it can be seen without a boot.
shipped() {
    local unit state
    for unit in t0rn-agent.service docker.service containerd.service chrony.service t0rn-chain-volume.service t0rn-user-data.service \
        tmp.mount unattended-upgrades.service apt-daily.timer apt-daily-upgrade.timer cloud-init.service cloud-config.service \
        cloud-final.service amazon-ssm-agent.service; do
        state=$(systemctl --root="$view" is-enabled "$unit" 2>&1)
        check "enabled_${unit%.service}" "$unit is ${state:-unknown}; run ami/install.sh" [ "$state" = enabled ]
    done
    installed_files
    # Docker's socket comes with Docker.
    state=$(systemctl --root="$view" is-enabled docker.socket 2>&1)
    check disabled_docker.socket "it is ${state:-unknown}; run ami/install.sh" [ "$state" = disabled ]
    # What is collected, and where to, is set by the deployment.
    state=$(systemctl --root="$view" is-enabled amazon-cloudwatch-agent.service 2>&1)
    check disabled_amazon-cloudwatch-agent "it is ${state:-unknown}, and would collect without a configuration; run ami/install.sh" [ "$state" = disabled ]
    find "$view"/opt/aws/amazon-cloudwatch-agent/etc -name '*t0rn*' 2>/dev/null | none no_collection "remove it: what is collected is the deployment's"
    for unit in ssh.service ssh.socket; do
        check "masked_$unit" "it could be started; run ami/harden.sh" [ "$(readlink "$view/etc/systemd/system/$unit")" = /dev/null ]
    done
    check agent "/usr/bin/t0rn-agent is missing or cannot run; run ami/install.sh" works "$view/usr/bin/t0rn-agent"
    made_of
    image # The first boot needs no registry.
    # What the chain's volume would hide.
    if mountpoint --quiet "$view$data" || [ -n "$root" ]; then :; elif mountpoint --quiet "$data"; then
        find "$view$data" -mindepth 1 2>/dev/null | none beneath_the_chain_volume "it would be hidden; remove it from the root volume"
    fi
}

# Every file of ami/rootfs is as the tree has it: no package, and no step after ami/install.sh, put another in its place.
installed_files() {
    local sums=$view/usr/lib/t0rn-agent/rootfs.sha256
    [ -s "$sums" ] || { fail installed_files "/usr/lib/t0rn-agent/rootfs.sha256 is missing; run ami/install.sh" && return; }
    # A name with a backslash is written with a backslash before it.
    (cd "$view/" && sha256sum --check --strict --quiet "$sums" 2>&1) | sed 's|^\\\{0,1\}\./|/|; s|: FAILED.*||; /^sha256sum: WARNING: .* \(listed file\|computed\)/d; /: No such file or directory$/d' |
        none installed_files "missing, or not as in ami/rootfs; run ami/install.sh"
}

# works AGENT
works() {
    [[ $(timeout 20 "$1" --version 2>&1) =~ ^t0rn-agent\ [0-9] ]]
}

made_of() {
    local stand_ins file=$view/usr/lib/t0rn-agent/made-of
    [ -s "$file" ] || { fail made_of "/usr/lib/t0rn-agent/made-of is missing; run ami/install.sh" && return; }
    pass made_of
    stand_ins=$(awk '$4 == "stand-in" { print $1 }' "$file" | paste -sd ' ')
    if [ -n "$stand_ins" ]; then skip vendor_packages "stand-ins are installed and say nothing about the real ones: $stand_ins"
    else pass vendor_packages; fi
    if grep -q not-current "$file"; then skip packages_current "the Debian archive could not be reached when the image was made"
    else pass packages_current; fi
}

image() {
    if grep -qs 'sha256:' "$root"/var/lib/docker/image/*/repositories.json; then
        pass collator_image
    elif [ -z "$chain" ]; then
        skip collator_image "asked with --no-chain"
    else
        fail collator_image "Docker has none, so that the first boot would need a registry; pull it before (t0rn-agent bake does)"
    fi
}

certificate() {
    if [ -z "$chain" ]; then
        skip certificate "asked with --no-chain"
    elif [ ! -e "$root$data/bake.json" ]; then
        fail certificate "$data/bake.json is missing; t0rn-agent bake writes it"
    elif ! works "$root/usr/bin/t0rn-agent"; then
        fail certificate "the agent cannot run, so that nothing verifies it; run ami/install.sh"
    elif said=$("$root/usr/bin/t0rn-agent" bake verify "$root$data" 2>&1); then
        pass certificate
    else
        fail certificate "$(tail -n 1 <<<"$said"); bake again"
    fi
}

file_systems() {
    local source target type state
    while read -r source target type; do
        case $type${source//[^[]/} in
        *'[') skip "file_system_$target" "it is a folder of another file system, $source" ;;
        ext4)
            state=$(tune2fs -l "$source" 2>/dev/null | sed -n 's/^Filesystem state: *//p')
            check "file_system_$target" "$source is ${state:-unreadable}; run e2fsck" [ "$state" = clean ]
            ;;
        xfs) pass "file_system_$target" ;;
        *) skip "file_system_$target" "$type keeps no record of damage" ;;
        esac
    done < <(findmnt --noheadings --raw --output SOURCE,TARGET,FSTYPE / && findmnt --noheadings --raw --output SOURCE,TARGET,FSTYPE "$data")
}

booted() {
    local unit value
    value=$(systemctl list-units --failed --no-legend --plain | awk '{ print $1 }' | paste -sd ' ')
    check no_failed_units "$value; see: systemctl status" [ -z "$value" ]
    for unit in docker chrony t0rn-agent amazon-ssm-agent; do
        value=$(systemctl is-active "$unit")
        if [ "$value" = active ]; then
            pass "active_$unit"
        elif grep -q "^$unit .* stand-in$" /usr/lib/t0rn-agent/made-of 2>/dev/null; then
            skip "active_$unit" "it is a stand-in"
        else
            fail "active_$unit" "$value; see: systemctl status $unit"
        fi
    done
    for unit in ssh.service ssh.socket; do
        value=$(systemctl is-active "$unit")
        check "inactive_$unit" "$value; run ami/harden.sh when baking" [ "$value" = inactive ]
    done
    value=$(cloud-init status 2>&1)
    check cloud_init "$value; see: cloud-init status --long" [ "$value" = 'status: done' ]
    value=$(cat /etc/machine-id)
    check machine_id "'$value' is none; it has to be made at the first boot" grep -qxE '[0-9a-f]{32}' /etc/machine-id
    agent
    listeners | none listeners "nothing but the agent, chrony, DHCP and the collator's ports may listen"
    sysctls
    file_systems
    chain_volume
}

agent() {
    local said
    said=$(timeout 20 t0rn-agent status --json 2>&1)
    case $?$said in
    [01]*'"schema"'*) pass agent_status ;;
    *) fail agent_status "$(head -n 1 <<<"$said"); see: t0rn-agent status" ;;
    esac
    check collator_runs "no container of the agent's runs; see: t0rn-agent status" \
        [ -n "$(docker ps --quiet --filter label=t0rn-agent.managed=true 2>/dev/null)" ]
}

# On addresses that others reach, but for what serves the machine; Docker's proxies are the collator's ports.
listeners() {
    ss --no-header --listening --numeric --tcp --udp --processes | while read -r protocol _ _ _ address _ process; do
        case $address in 127.*:* | '[::1]:'* | *%lo:*) continue ;; esac
        case "$protocol $process ${address##*:}" in
        *'"docker-proxy"'* | 'udp '*'"dhclient"'*' 68' | 'udp '*'"systemd-network"'*' 68' | 'udp '*'"systemd-network"'*' 546') ;;
        *) echo "$protocol/$address ${process:-kernel}" ;;
        esac
    done
}

# In a container only the network's are its own.
sysctls() {
    local key value now wrong='' own='^[a-z]'
    if systemd-detect-virt --quiet --container; then
        own='^net\.'
        skip sysctl_kernel "a container has its host's"
    fi
    while IFS='= ' read -r key value; do
        now=$(sysctl --values "$key" 2>/dev/null | tr '\t' ' ')
        [ -z "$now" ] || [ "$now" = "$value" ] || wrong="$wrong $key=$now"
    done < <(grep -E "$own" /etc/sysctl.d/60-t0rn-agent.conf)
    check sysctl "${wrong# }: /etc/sysctl.d/60-t0rn-agent.conf says otherwise; what changed it?" [ -z "$wrong" ]
}

chain_volume() {
    case $(sed -n 's/^volume=//p' /etc/t0rn-agent/chain-volume.conf) in
    none | '') skip chain_volume "the chain is on the root volume" ;;
    *) check chain_volume "$data is not mounted; see: t0rn-agent status" mountpoint --quiet "$data" ;;
    esac
}

# The certificate is of the data as it was baked; on a machine that runs, the collator has gone on with it.
taken_over() {
    if [ -z "$chain" ]; then
        skip certificate "asked with --no-chain"
    elif [ ! -s "$data/bake.json" ]; then
        fail certificate "$data/bake.json is missing; t0rn-agent bake writes it"
    elif [[ ! $(timeout 20 t0rn-agent status --json 2>/dev/null) =~ \"bake\":[[:space:]]*\{[[:space:]]*\"block\":[[:space:]]*[0-9] ]]; then
        fail certificate "the agent cannot read $data/bake.json; see: t0rn-agent status"
    else
        pass certificate
        skip certified_data "the collator has gone on with it; t0rn-agent bake verify holds it against the certificate before that"
    fi
}
