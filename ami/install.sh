#!/usr/bin/env bash
# Puts everything on the machine that becomes the image. As root, on Debian 12; a second run changes nothing.
# usage: DEB=t0rn-agent.deb DOWNLOADS=DIR [CHAIN_VOLUME=LABEL=t0rn-chain] ami/install.sh
#
# DEB           the agent's package
# DOWNLOADS     the folder that packer/fetch filled: Amazon's agents, cosign if the collator's image is signed, and the file
#               `verified`. A package that is only in the folder's SHA256SUMS is a stand-in for a test: it is installed, the
#               image says so, and packer/validate reports it.
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
    [ -n "${DOWNLOADS:-}" ] && [ -d "$DOWNLOADS" ] || die "DOWNLOADS names no folder: packer/fetch DIR fills one"
    # shellcheck disable=SC1091
    [ "$(. /etc/os-release && echo "$ID $VERSION_ID")" = "debian 12" ] || die "this is not Debian 12"
    # The configuration first: a package that starts its service starts it with ours.
    rootfs
    mkdir -p "${made_of%/*}"
    : >"$made_of"
    debian
    vendor amazon-ssm-agent
    vendor amazon-cloudwatch-agent
    # Only for a collator with collator.cosign_key: packer/bake fetches it then.
    [ ! -e "$DOWNLOADS/cosign" ] || cosign
    package "$DEB"
    record t0rn-agent "$(dpkg-query -Wf '${Version}' t0rn-agent)" "$(checksum "$DEB")" given
    [ -z "${CHAIN_VOLUME:-}" ] || chain_volume "$CHAIN_VOLUME"
    sums
    systemctl daemon-reload 2>/dev/null || true
    enable
    say "done; what the image is made of is in $made_of"
}

rootfs() {
    tar -C "$here/rootfs" --owner=0 --group=0 --mode=u=rwX,go=rX -cf - . |
        tar -C / --no-same-owner --no-overwrite-dir --keep-directory-symlink -xpf -
}

# For packer/validate: the sums of the files under rootfs, but of the one that chain_volume changes.
sums() {
    (cd "$here/rootfs" && find . -type f ! -path ./etc/t0rn-agent/chain-volume.conf -exec sha256sum {} +) >"${made_of%/*}/rootfs.sha256"
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

# vendor NAME: a package of another vendor, whose signature packer/fetch verified.
vendor() {
    local name=$1 file=$DOWNLOADS/$1.deb version sum
    [ -f "$file" ] || die "$name: $file is missing; packer/fetch DIR downloads it: DOWNLOADS=DIR"
    sum=$(checksum "$file")
    version=$(dpkg-deb --field "$file" Version) || die "$name: $file is no Debian package; packer/fetch DIR downloads it anew"
    if verified "$name" "$sum"; then
        package "$file"
        record "$name" "$version" "$sum" vendor
    elif [ -f "$DOWNLOADS/SHA256SUMS" ] && (cd "$DOWNLOADS" && grep -E " [*]?(\./)?$name\.deb\$" SHA256SUMS | sha256sum --check --status); then
        say "STAND-IN: $name $version comes from $file and is not the vendor's: no image for others"
        package "$file"
        record "$name" "$version" "$sum" stand-in
    else
        die "$name: $file has sha256 $sum, and packer/fetch has verified no such file; packer/fetch DIR downloads it anew"
    fi
}

# cosign, with which the agent checks the signature of the collator's image; no package, but the program.
cosign() {
    local file=$DOWNLOADS/cosign sum
    sum=$(checksum "$file")
    verified cosign "$sum" || die "cosign: $file has sha256 $sum, and packer/fetch has verified no such file; packer/fetch DIR x86_64 cosign"
    install -m 755 "$file" /usr/bin/cosign
    record cosign "$(awk '$1 == "cosign" { print $2 }' "$DOWNLOADS/verified")" "$sum" vendor
}

# verified NAME SHA256
verified() {
    awk -v name="$1" -v sum="$2" '$1 == name && $3 == sum { found = 1 } END { exit !found }' "$DOWNLOADS/verified" 2>/dev/null
}

# Without apt where it is not needed: apt would look for recommendations, and for a path it can read as _apt. What is
# installed already stays: the agent of a builder that is reached through Systems Manager would be restarted.
package() {
    local name version
    name=$(dpkg-deb --field "$1" Package)
    version=$(dpkg-deb --field "$1" Version)
    if [ "$1" != "$DEB" ] && [ "$(dpkg-query -Wf '${db:Status-Status} ${Version}' "$name" 2>/dev/null)" = "installed $version" ]; then
        say "$name $version is installed already"
        return
    fi
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
