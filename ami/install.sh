#!/usr/bin/env bash
# Puts everything on the machine that becomes the image. As root, on Debian 12; a second run changes nothing.
# usage: DEB=t0rn-agent.deb [DOWNLOADS=DIR] [CHAIN_VOLUME=LABEL=t0rn-chain] ami/install.sh
#
# DEB           the agent's package
# DOWNLOADS     a directory with files that need not be fetched, by the names that ami/versions gives them (NAME.deb). One
#               whose checksum is not that of ami/versions is a stand-in: the directory's own SHA256SUMS must vouch for it, and
#               this script says that it was used. With a cosign.deb in it, cosign is installed too: collator.cosign_key needs it.
# CHAIN_VOLUME  what /etc/t0rn-agent/chain-volume.conf of the image says: none (the chain is on the root volume), a LABEL=…, a
#               vol-… or a device
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
made_of=/usr/lib/t0rn-agent/made-of
packages=(
    apparmor ca-certificates chrony cloud-guest-utils cloud-init curl docker.io e2fsprogs iproute2 iptables procps
    unattended-upgrades xfsprogs
)
# ucf, which keeps chrony.conf, has a setting of its own for what dpkg calls confold.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 UCF_FORCE_CONFFOLD=1

main() {
    [ "$(id -u)" = 0 ] || die "needs root"
    [ -n "${DEB:-}" ] && [ -f "$DEB" ] || die "DEB names no file: the agent's package (make deb)"
    # shellcheck disable=SC1091
    [ "$(. /etc/os-release && echo "$ID $VERSION_ID")" = "debian 12" ] || die "this is not Debian 12"
    # The configuration first: a package that starts its service starts it with ours.
    rootfs
    mkdir -p "${made_of%/*}"
    : >"$made_of"
    debian
    vendor amazon-ssm-agent
    vendor amazon-cloudwatch-agent
    # Only for who has images signed (collator.cosign_key), and so puts it there.
    [ ! -e "${DOWNLOADS:-}/cosign.deb" ] || vendor cosign
    package "$DEB"
    record t0rn-agent "$(dpkg-query -Wf '${Version}' t0rn-agent)" "$(checksum "$DEB")" given
    [ -z "${CHAIN_VOLUME:-}" ] || chain_volume "$CHAIN_VOLUME"
    systemctl daemon-reload 2>/dev/null || true
    enable
    say "done; what the image is made of is in $made_of"
}

rootfs() {
    tar -C "$here/rootfs" --owner=0 --group=0 --mode=u=rwX,go=rX -cf - . |
        tar -C / --no-same-owner --no-overwrite-dir --keep-directory-symlink -xpf -
}

# Debian's packages, current ones where the archive can be reached.
debian() {
    local missing=() name
    for name in "${packages[@]}"; do
        [ "$(dpkg-query -Wf '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    if timeout 300 apt-get update -qq -o APT::Update::Error-Mode=any -o Acquire::Retries=3; then
        apt-get dist-upgrade -y -qq -o Dpkg::Options::=--force-confold
        [ ${#missing[@]} = 0 ] || apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold "${missing[@]}"
        apt-get autoremove -y -qq --purge
        record debian "$(cat /etc/debian_version)" - current
    elif [ ${#missing[@]} = 0 ]; then
        say "NOT CURRENT: the Debian archive cannot be reached; its packages stay as they were"
        record debian "$(cat /etc/debian_version)" - not-current
    else
        die "the Debian archive cannot be reached, and these are missing: ${missing[*]}"
    fi
}

# vendor NAME: a package that Debian does not have, given or fetched, and checked.
vendor() {
    local name=$1 version sum url file origin
    read -r version sum url < <(awk -v name="$name" '$1 == name { print $2, $3, $4 }' "$here/versions") ||
        die "$here/versions does not name $name"
    file=${DOWNLOADS:+$DOWNLOADS/$name.deb}
    if [ -z "$file" ] || [ ! -e "$file" ]; then
        [ "$sum" != - ] || die "$name: $here/versions has no checksum for it; verify the vendor's signature and write it there"
        file=$(mktemp -d)/$name.deb
        curl --fail --silent --show-error --location --proto =https --max-time 300 --retry 3 --output "$file" "$url" ||
            die "$name: $url cannot be fetched; put $name.deb into DOWNLOADS"
    fi
    if [ "$(checksum "$file")" = "$sum" ]; then
        origin=vendor
    elif [ "$(stand_in_sum "$name")" = "$(checksum "$file")" ]; then
        origin=stand-in
        version=$(dpkg-deb --field "$file" Version)
        say "STAND-IN: $name $version comes from $file and is not the vendor's: no image for others"
    else
        die "$name: $file has sha256 $(checksum "$file"), expected is $sum; fetch it anew, or mend $here/versions"
    fi
    package "$file"
    record "$name" "$version" "$(checksum "$file")" "$origin"
}

stand_in_sum() {
    [ -n "${DOWNLOADS:-}" ] && [ -f "$DOWNLOADS/SHA256SUMS" ] || return 0
    awk -v file="$1.deb" '$2 == file || $2 == "*" file || $2 == "./" file { print $1 }' "$DOWNLOADS/SHA256SUMS"
}

# Without apt where it is not needed: apt would look for recommendations, and for a path it can read as _apt.
package() {
    dpkg --force-confold --install "$1"
}

chain_volume() {
    local conf=/etc/t0rn-agent/chain-volume.conf
    sed -i "s|^volume=.*|volume=$1|" "$conf"
    grep -qxF "volume=$1" "$conf" || die "$conf has no line volume="
}

# What the packages do not decide by themselves. Never --now: the machine that bakes is not the one that runs.
enable() {
    local unit
    # Docker's socket comes with Docker, and Docker with the chain's volume: see ami/README.md.
    systemctl --quiet disable docker.socket
    for unit in docker containerd chrony t0rn-agent t0rn-chain-volume t0rn-user-data unattended-upgrades \
        apt-daily.timer apt-daily-upgrade.timer amazon-ssm-agent; do
        systemctl --quiet enable "$unit" || die "$unit cannot be enabled"
    done
    # What it collects, and where to, the deployment says (provision, observability), which also enables and starts it.
    # Without a configuration it would not come up.
    systemctl --quiet disable amazon-cloudwatch-agent || die "amazon-cloudwatch-agent cannot be disabled"
}

record() {
    printf '%s %s %s %s\n' "$@" >>"$made_of"
}

checksum() {
    sha256sum "$1" | cut -d ' ' -f 1
}

say() {
    echo "install: $*"
}

die() {
    echo "install: $*" >&2
    exit 1
}

main
