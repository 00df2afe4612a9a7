# shellcheck shell=bash
# What can be known before an instance is started: packer/bake refuses here what could not succeed, with the remedy.
# What this machine knows comes first. Sourced by it, after lib.sh; it has set `here`, `config`, `arguments`, `deb`, `output` and `region`.
# shellcheck disable=SC2154

# As EC2 names it (x86_64, arm64), and as Debian and Docker do (amd64, arm64).
architecture=
debian_architecture=

# Prints what was given for a variable of the template, as an argument or in the environment.
given() {
    local variable=PKR_VAR_$1 value argument
    value=${!variable:-}
    for argument in "${arguments[@]}"; do
        case $argument in "$1="* | "-var=$1="*) value=${argument#*"$1="} ;; esac
    done
    echo "$value"
}

# setting SECTION KEY: a text of the collator's agent.toml, below its section's heading or with both names in front of it.
setting() {
    awk -v section="$1" -v key="$2" '
        /^[[:space:]]*\[/ { heading = $0; gsub(/#.*|[[:space:]]/, "", heading); next }
        { name = $0; sub(/=.*/, "", name); gsub(/[[:space:]]/, "", name) }
        heading == "" && name == section "." key || heading == "[" section "]" && name == key {
            sub(/^[^=]*=[[:space:]]*["'\'']/, ""); sub(/["'\''].*$/, ""); print; exit
        }' "$config"
}

check_tools() {
    local version
    need aws jq curl gpg openssl dpkg-deb packer
    version=$(packer version 2>/dev/null | sed -n 's/^Packer v\([0-9]*\.[0-9]*\).*/\1/p' || true)
    [ -n "$version" ] && [ "$(printf '%s\n' 1.9 "$version" | sort --version-sort | head -n 1)" = 1.9 ] ||
        die "Packer ${version:-of an unknown version} is too old: 1.9 or newer is needed, https://developer.hashicorp.com/packer/install"
}

# As the template has it; what is there already may have another name.
check_name() {
    [[ $name =~ ^[a-z0-9][a-z0-9-]{0,62}$ ]] || die "NAME=$name names no image: 1 to 63 lower-case letters, digits and dashes, such as t0rn-collator"
}

# Packer takes no notice of a setting in the environment that its template does not have.
check_variables() {
    local variable
    for variable in "${!PKR_VAR_@}"; do
        grep -q "^variable \"${variable#PKR_VAR_}\" {" "$here/variables.pkr.hcl" ||
            die "$variable is no setting of a bake: packer/variables.pkr.hcl has their names"
    done
}

# Sets `type`, the builder's instance type, too.
check_architecture() {
    architecture=$(given architecture)
    architecture=${architecture:-x86_64}
    case $architecture in
    x86_64) debian_architecture=amd64 ;;
    arm64) debian_architecture=arm64 ;;
    *) die "architecture=$architecture is neither x86_64 nor arm64" ;;
    esac
    type=$(given instance_type)
    [ -n "$type" ] || case $architecture in arm64) type=m7g.large ;; *) type=m6a.large ;; esac
}

check_package() {
    local built found
    if [ -z "$deb" ]; then
        built=("$here"/../target/debian/t0rn-agent_*_"$debian_architecture".deb)
        [ ${#built[@]} = 1 ] && [ -f "${built[0]}" ] ||
            die "expected one package t0rn-agent_VERSION_$debian_architecture.deb in target/debian: make deb, or set DEB"
        deb=${built[0]}
    fi
    found=$(dpkg-deb --field "$deb" Architecture 2>&1) || die "DEB=$deb is no Debian package: make deb: $found"
    [ "$found" = "$debian_architecture" ] || [ "$found" = all ] ||
        die "$deb is built for $found, and the image is for $debian_architecture: set DEB, or PKR_VAR_architecture"
}

# By the agent of the package itself, where this machine can run it.
check_config() {
    local said
    case $(uname -m)$architecture in x86_64x86_64 | aarch64arm64) config_check "$config" "$deb" ;; esac
    said=$(setting data path)
    [ "${said:-/var/lib/t0rn-collator}" = /var/lib/t0rn-collator ] ||
        die "data.path in $config is $said: on the image it has to be /var/lib/t0rn-collator, where the chain's volume is"
}

# Whether the node's image is built for the machine. Unknown, where no registry can be asked, is no refusal.
check_platform() {
    local image manifest platforms
    image=$(setting collator image)
    if ! command -v docker >/dev/null; then
        [ "$architecture" != arm64 ] || die "docker is not installed: it looks up whether $image is built for arm64, https://docs.docker.com/engine/install/"
        say "the platforms of $image are not looked up: docker is not installed here"
    elif ! manifest=$(timeout 30 docker manifest inspect --verbose "$image" 2>&1); then
        say "the platforms of $image cannot be looked up: $(tail -n 1 <<<"$manifest")"
    else
        platforms=$(jq --raw-output '[.. | objects | .platform? // empty | select(.os == "linux") | .architecture] | unique | join(" ")' <<<"$manifest" 2>/dev/null) ||
            say "the platforms of $image cannot be looked up: docker answers no JSON"
        [ -z "$platforms" ] || [[ " $platforms " == *" $debian_architecture "* ]] ||
            die "$image has no image for linux/$debian_architecture, but for: $platforms; set PKR_VAR_architecture to one that it has (amd64: x86_64), or build the node for $debian_architecture"
    fi
}

# The signature of the collator's image is checked on the builder, too.
check_cosign_key() {
    cosign_key=$(setting collator cosign_key)
    [ -n "$cosign_key" ] || return 0
    [ -f "$cosign_key" ] || cosign_key=$(dirname "$config")/${cosign_key##*/}
    [ -f "$cosign_key" ] || die "$(setting collator cosign_key), the collator.cosign_key of $config, is not here: put a copy of it beside $config"
}

# look_up WHAT ARGUMENT…: `aws ARGUMENT…` with its output in `answer`. An API that is busy is asked again; WHAT that is not found, or
# may not be read, ends the bake.
look_up() {
    attempt 0 "${@:2}" && return
    [[ $code == *NotFound* || $code == *Invalid* ]] || die "$(remedy "${@:2}"): $1 in $region cannot be read: $words"
    die "$1 is not found in $region: $words"
}

check_account() {
    local image key
    request 0 sts get-caller-identity --region "$region"
    look_up "PKR_VAR_instance_type=$type" ec2 describe-instance-types --region "$region" \
        --instance-types "$type" --output text --query 'InstanceTypes[].ProcessorInfo.SupportedArchitectures[]'
    [[ " ${answer//[[:space:]]/ } " == *" $architecture "* ]] ||
        die "instance_type=$type is for ${answer//[[:space:]]/ }, and the image is for $architecture: set PKR_VAR_instance_type or PKR_VAR_architecture"
    image=$(given source_ami)
    if [ -n "$image" ]; then
        look_up "source_ami=$image" ec2 describe-images --region "$region" --image-ids "$image" --query 'Images[].Architecture' --output text
        [ "$answer" = "$architecture" ] || die "source_ami=$image is for $answer, and the image is for $architecture"
    fi
    key=$(given kms_key_id)
    [ -n "$key" ] || return 0
    # Who may use a key need not be allowed to look at it.
    if attempt 0 kms describe-key --region "$region" --key-id "$key" --query KeyMetadata.KeyState --output text; then
        [ "$answer" = Enabled ] || die "kms_key_id=$key is $answer: enable the key, or set another"
    elif [[ $code == *NotFound* ]]; then
        die "kms_key_id=$key is not found in $region: $words"
    fi
}

# How the builder is to be reached. Sets `subnet`, `profile`, `interface` and `network`.
check_interface() {
    subnet=$(given subnet_id)
    subnet=${subnet:-${SUBNET:-}}
    profile=$(given instance_profile)
    profile=${profile:-${PROFILE:-}}
    interface=$(given ssh_interface)
    if [ -z "$interface" ]; then
        interface=public_ip
        [ -z "$subnet" ] || [ -z "$profile" ] || interface=session_manager
    fi
    checked_subnet "$subnet"
    checked_profile "$profile"
    network=(-var "subnet_id=$subnet" -var "ssh_interface=$interface")
    case $interface in
    session_manager)
        [ -n "$profile" ] || die "ssh_interface=session_manager needs PROFILE: an instance profile with AmazonSSMManagedInstanceCore"
        command -v session-manager-plugin >/dev/null ||
            die "session-manager-plugin is not installed; the builder is reached with it: https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html"
        network+=(-var "instance_profile=$profile")
        ;;
    private_ip)
        [ -n "$subnet$(opened)" ] || die "ssh_interface=private_ip needs SUBNET: one that this machine reaches by its private address"
        ;;
    esac
}

# What the caller has opened port 22 of the builder to.
opened() {
    echo "$(given ssh_source_cidrs)$(given security_group_id)"
}

check_output() {
    local said
    said=$(mkdir -p "$output" 2>&1) && [ -w "$output" ] || die "OUTPUT=$output cannot be written: set it to a folder that can: ${said:-no right to write there}"
    output=$(realpath "$output")
}

# Amazon's agents and cosign go to the builder in a folder; one that was given is taken as it is. Sets `downloads` and `programs`.
check_downloads() {
    local name
    programs=(amazon-ssm-agent amazon-cloudwatch-agent)
    [ -z "$cosign_key" ] || programs+=(cosign)
    downloads=$(given downloads)
    if [ -z "$downloads" ]; then
        downloads=$output/downloads
        rm -rf "$downloads"
        mkdir "$downloads"
        return
    fi
    [ -d "$downloads" ] || die "downloads=$downloads is no folder: packer/fetch DIR fills one"
    for name in "${programs[@]}"; do
        grep -qsE "^$name | [*]?(\./)?$name\.deb$" "$downloads/verified" "$downloads/SHA256SUMS" ||
            die "downloads=$downloads has no verified $name: packer/fetch $downloads $architecture ${programs[*]}"
    done
    [ "$interface" != session_manager ] || grep -qs '^amazon-ssm-agent ' "$downloads/verified" ||
        die "session_manager needs an amazon-ssm-agent that packer/fetch verified: leave downloads out"
}

# Packer's own look at every setting. Sets `settings`.
check_template() {
    local said
    settings=(-var "name=$name" -var "region=$region" -var "architecture=$architecture" -var "instance_type=$type" -var "agent_deb=$deb"
        -var "agent_config=$(realpath "$config")" -var "output=$output" -var "downloads=$downloads")
    if [ "$interface" = session_manager ]; then
        : >"$output/user-data"
        settings+=(-var "user_data_file=$output/user-data")
    fi
    # Without the settings, which it would read, and refuse as if the plugin were missing.
    (unset "${!PKR_VAR_@}" && packer init "$here") || die "the Amazon plugin of Packer cannot be installed (see above); packer plugins install github.com/hashicorp/amazon"
    said=$(packer validate "${settings[@]}" "${network[@]}" "${arguments[@]}" "$here" 2>&1) || die "Packer refuses the template or a variable: $said"
}

# Where the chain is to start, as far as it is known without AWS.
check_start() {
    local wanted
    case ${FROM:-current} in
    current | genesis) ;;
    seed)
        [ -n "$(given seed_url)" ] || die "FROM=seed needs seed_url and seed_sha256: set PKR_VAR_seed_url and PKR_VAR_seed_sha256"
        check_seed
        ;;
    snap-*) [[ $FROM =~ ^snap-[0-9a-f]{8,17}$ ]] || die "FROM=$FROM is no id of a snapshot: snap- and hexadecimal digits" ;;
    *) die "FROM=$FROM is none of current, seed, genesis, snap-…" ;;
    esac
    wanted=$(given chain_gib)
    [[ -z $wanted || $wanted =~ ^[1-9][0-9]{0,4}$ && $wanted -le 16384 ]] || die "chain_gib=$wanted is no number of GiB from 1 to 16384"
}

check_seed() {
    [ -n "$(given seed_sha256)" ] || die "seed_url needs seed_sha256: the checksum that its publisher gives"
}

# Whether the builder can be reached in that way. Adds to `network`.
check_network() {
    local base
    if [ -n "$subnet" ]; then
        look_up "SUBNET=$subnet" ec2 describe-subnets --region "$region" --subnet-ids "$subnet" --query 'Subnets[0].CidrBlock' --output text
        base=$answer
        routes_of "$subnet"
    else
        look_up "a default VPC" ec2 describe-vpcs --region "$region" --filters Name=is-default,Values=true --query 'Vpcs[].VpcId' --output text
        [ -n "$answer" ] || die "set SUBNET to a private subnet, such as one of infra/vpc (provision/README.md, step 3, makes it first), and PROFILE to an instance profile with AmazonSSMManagedInstanceCore: $region has no default VPC"
    fi
    case $interface in
    session_manager)
        attempt 0 iam get-instance-profile --instance-profile-name "$profile" || [ "$code" != NoSuchEntity ] ||
            die "PROFILE=$profile is no instance profile of this account: $words"
        [ -z "$subnet" ] || ! is_public ||
            die "$subnet is a public subnet, and the builder has no public address there: set SUBNET to a private one, with a NAT gateway"
        ;;
    private_ip)
        [ -n "$(opened)" ] || open_to_here "$base"
        ;;
    public_ip)
        [ -z "$subnet" ] || is_public ||
            die "$subnet has no route to an internet gateway, so that a builder with a public address is not reached: set PROFILE (session_manager), PKR_VAR_ssh_interface=private_ip, or another SUBNET"
        ;;
    esac
    [ -z "$subnet" ] || check_way_out
}

# open_to_here CIDR: port 22 of the builder, in that network, to this machine's private address. Adds to `network`.
open_to_here() {
    local address
    address=$(ip -4 route get "${1%/*}" 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p' || true)
    [ -n "$address" ] || die "this machine has no route to $subnet ($1): bake from a network that has, set PKR_VAR_ssh_source_cidrs='[\"10.0.0.0/8\"]', or PROFILE for session_manager"
    say "port 22 of the builder is open to $address"
    network+=(-var "ssh_source_cidrs=[\"$address/32\"]")
}

# routes_of SUBNET: sets `routes`, where its table leads, or the main one of its VPC: destination, target and state of each.
routes_of() {
    look_up "the routes of $1" ec2 describe-route-tables --region "$region" --filters "Name=association.subnet-id,Values=$1" --output json
    if [[ $(jq '.RouteTables | length' <<<"$answer") =~ ^0?$ ]]; then
        look_up "$1" ec2 describe-subnets --region "$region" --subnet-ids "$1" --query 'Subnets[0].VpcId' --output text
        look_up "the routes of $answer" ec2 describe-route-tables --region "$region" \
            --filters "Name=vpc-id,Values=$answer" Name=association.main,Values=true --output json
    fi
    routes=$(jq --raw-output '.RouteTables[]?.Routes[]? | "\(.DestinationCidrBlock // .DestinationIpv6CidrBlock // .DestinationPrefixListId) \(
        .GatewayId // .NatGatewayId // .TransitGatewayId // .EgressOnlyInternetGatewayId // .NetworkInterfaceId // "another") \(.State // "active")"' <<<"$answer")
}

# Whether there is a route to an internet gateway.
is_public() {
    grep -q ' igw-[^ ]* active$' <<<"$routes"
}

# Endpoints of the VPC may serve Systems Manager, and even a registry; Debian's own image knows its packages in the internet alone.
check_way_out() {
    local gone
    # One for the internet, or for both halves of it. A list of prefixes may be any; an endpoint for S3 has one, too.
    ! grep -E '^((0\.0\.0\.0|128\.0\.0\.0)/[01]|::/0|2000::/3|pl-[^ ]*) .* active$' <<<"$routes" | grep -qv '^pl-[^ ]* vpce-' || return 0
    if [ -n "$(given source_ami)" ]; then
        say "$subnet has no default route: the builder comes as far as what source_ami knows there, of packages, registry and peers"
        return
    fi
    gone=$(sed -nE 's#^(0\.0\.0\.0/0|::/0) ([^ ]+) blackhole$#\1 leads to \2, which is gone; #p' <<<"$routes" | head -n 1)
    die "give $subnet a default route (0.0.0.0/0 to a NAT gateway), or set SUBNET to a subnet that has one, such as a private one of infra/vpc:" \
        "${gone}without it the builder reaches neither Debian's packages nor the chain's peers, which no endpoint of a VPC replaces"
}
