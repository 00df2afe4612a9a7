# shellcheck shell=bash
# What the steps of the pipeline have in common. Needs aws and jq.
# What fails in a command substitution ends the script as well.
shopt -s inherit_errexit
# shellcheck source=packer/say.sh
. "${BASH_SOURCE[0]%/*}/say.sh"
# shellcheck source=provision/aws.sh
. "${BASH_SOURCE[0]%/*}/../provision/aws.sh"

# need TOOL…: ends the script where a program is missing.
need() {
    local tool missing=()
    for tool; do command -v "$tool" >/dev/null || missing+=("$tool"); done
    [ ${#missing[@]} = 0 ] || die "not installed: ${missing[*]}; docs/bake.md names what is needed"
}

# are_regions VARIABLE REGION…: ends the script where the value of VARIABLE, or a part of it, is no region's name.
are_regions() {
    local one
    [ $# -gt 1 ] || die "$1 is not set: the region of the image, such as eu-central-1"
    for one in "${@:2}"; do
        is_region "$one" || die "$1: $one is no region of AWS, such as eu-central-1"
    done
}

# checked_subnet ID, checked_profile NAME: end the script where it is none; empty is none that is needed.
checked_subnet() {
    [[ -z $1 || $1 =~ ^subnet-[0-9a-f]{8,17}$ ]] || die "SUBNET=$1 is no id of a subnet, such as subnet-0123456789abcdef0"
}

checked_profile() {
    [[ -z $1 || $1 =~ ^[A-Za-z0-9_+=,.@-]{1,128}$ ]] || die "PROFILE=$1 is no name of an instance profile, such as t0rn-ec1-dev-image-builder (the name, not the ARN)"
}

# own_package: prints the agent's package that this machine can run: DEB, or the only one in target/debian. Returns 1 where there is none.
own_package() {
    local own=amd64 built
    [ "$(uname -m)" != aarch64 ] || own=arm64
    built=("${BASH_SOURCE[0]%/*}"/../target/debian/t0rn-agent_*_"$own".deb)
    [ -z "${DEB:-}" ] || built=("$DEB")
    [ ${#built[@]} = 1 ] && [[ $(dpkg-deb --field "${built[0]}" Architecture 2>/dev/null) == "$own" ]] && echo "${built[0]}"
}

# config_check FILE DEB: ends the script where the agent of the package does not take the configuration. This machine can run it.
config_check() {
    local agent said code=0
    agent=$(mktemp)
    dpkg-deb --fsys-tarfile "$2" 2>/dev/null | tar --extract --to-stdout ./usr/bin/t0rn-agent >"$agent" 2>/dev/null ||
        die "DEB=$2 has no /usr/bin/t0rn-agent that can be read: make deb"
    chmod 755 "$agent"
    said=$("$agent" config check "$1" 2>&1) || code=$?
    rm -f "$agent"
    case $code in
    0) ;;
    126) say "$1 is not checked here: ${TMPDIR:-/tmp} is mounted noexec; set TMPDIR to a folder that is not" ;;
    *) die "$1 is not valid: $said" ;;
    esac
}

name=${NAME:-t0rn-collator}
[[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$ ]] || die "NAME=$name is no name: letters, digits, . _ -"
# The current image of a region: what launch templates and people look at.
parameter=/t0rn-agent/$name/ami

# current REGION: the image that is current there; nothing when none is yet.
current() {
    if attempt 0 ssm get-parameter --region "$1" --name "$parameter" --query Parameter.Value --output text; then
        echo "$answer"
    elif [ "$code" != ParameterNotFound ]; then
        # Not the same as none: a bake would begin at genesis, and a clean-up take the current image.
        die "$(remedy ssm get-parameter --region "$1"): $parameter in $1 cannot be read: $words"
    fi
}

# baked DIR: region and image that packer/bake wrote about, under this name.
baked() {
    local artifact of
    [ -f "$1/manifest.json" ] || die "$1 has no manifest.json: name the folder that packer/bake wrote, target/bake/NAME by default, or bake first"
    artifact=$(jq --raw-output '.last_run_uuid as $run | [.builds[]? | select(.packer_run_uuid == $run)][-1].artifact_id // ""' "$1/manifest.json" 2>/dev/null) ||
        die "$1/manifest.json is not what Packer wrote: bake again"
    [[ $artifact =~ ^[a-z0-9-]+:ami-[0-9a-f]+$ ]] || die "$1/manifest.json names no image of one region but '$artifact': bake again"
    # What an earlier version baked does not say it.
    of=$(jq --raw-output '.last_run_uuid as $run | [.builds[] | select(.packer_run_uuid == $run)][-1].custom_data.name? // ""' "$1/manifest.json")
    [[ -z $of || $of = "$name" ]] || die "$1 has an image of NAME=$of, and NAME is $name: set NAME=$of, or name the folder of $name"
    echo "${artifact/:/ }"
}

# snapshots REGION IMAGE: of all its volumes; EC2 may name them later than the image is available.
snapshots() {
    await 180 5 named_snapshots "$1" "$2" ||
        die "see whether all volumes of $2 in $1 have a snapshot, then run it again: EC2 names none for one of them"
}

# Prints nothing where one is missing.
named_snapshots() {
    request 60 ec2 describe-images --region "$1" --image-ids "$2" --output json
    jq --exit-status --raw-output '[.Images[].BlockDeviceMappings[]?.Ebs // empty | .SnapshotId] |
        if length > 0 and all(. != null) then .[] else empty end' <<<"$answer"
}

# available REGION IMAGE: waits until it is. The program's own waiter gives up after ten minutes; a chain takes hours.
available() {
    await 14400 30 is_available "$1" "$2" || die "$2 in $1 is still $answer after four hours"
}

is_available() {
    local state
    request 300 ec2 describe-images --region "$1" --image-ids "$2" --query 'Images[0].State' --output text
    state=$answer
    case $state in
    available) ;;
    pending | None) return 1 ;;
    *)
        attempt 0 ec2 describe-images --region "$1" --image-ids "$2" --query 'Images[0].StateReason.Message' --output text || answer=$words
        die "$2 in $1 is $state: $answer"
        ;;
    esac
}
