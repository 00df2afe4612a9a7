#!/usr/bin/env bash
# Runs a command in a copy of provision/ of its own, where Terraform finds an AWS provider without a network.
# usage: tests/infrastructure/with-aws.sh CMD [ARG…]
#
# The provider knows the schema and does nothing (tests/infrastructure/aws); what `terraform init` writes stays in the copy, so
# that no lock file gets its hash. With T0RN_AWS_PROVIDER=FILE that provider is used, and it is a real one. Either is started once, and each
# Terraform attaches to it, since a provider's start and its checksum are most of a short run. The command's directory is the copy of
# provision/; T0RN_ROOT is the project's.
set -euo pipefail

export T0RN_ROOT T0RN_CACHE
T0RN_ROOT=$(cd "$(dirname "$0")/../.." && pwd)
T0RN_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/t0rn-agent
aws_version=$(sed -n 's/.*aws_version=\([^ ]*\).*/\1/p' "$T0RN_ROOT/tests/tools/setup" | head -1)

main() {
    local work plugins locked real=${T0RN_AWS_PROVIDER:-}
    command -v terraform >/dev/null || { echo "with-aws: terraform is missing; install 1.11 or later" >&2; exit 3; }
    work=$(mktemp -d)
    # shellcheck disable=SC2064  # the directory is this one
    trap "[ -z \"\${server:-}\" ] || kill \$server || true; rm -rf '$work'" EXIT
    # A provider's file says its version.
    [[ ! $real =~ _v([0-9.]+) ]] || aws_version=${BASH_REMATCH[1]}
    plugins=$work/plugins/registry.terraform.io/hashicorp/aws/$aws_version/linux_$(dpkg --print-architecture)
    mkdir -p "$plugins"
    cp -r "$T0RN_ROOT/atmos.yaml" "$T0RN_ROOT/provision" "$work"
    # The lock files hold for the provider that they name alone, and for the whole of its package.
    locked=$(sed -n 's/^  version *= "\(.*\)"/\1/p' "$work/provision/components/terraform/infra/vpc/.terraform.lock.hcl")
    if [[ $(realpath "${real:-/}") = */hashicorp/aws/$locked/linux_*/* ]]; then
        rmdir "$plugins"
        ln -s "$(dirname "$(realpath "$real")")" "$plugins"
    else
        find "$work/provision" -name .terraform.lock.hcl -delete
        [ -z "$real" ] || ln -s "$(realpath "$real")" "$plugins/terraform-provider-aws_v${aws_version}_x5"
    fi
    cat >"$work/terraformrc" <<-RC
	provider_installation {
	  filesystem_mirror {
	    path = "$work/plugins"
	  }
	}
	disable_checkpoint = true
	RC
    export TF_CLI_CONFIG_FILE=$work/terraformrc TF_IN_AUTOMATION=1 TF_INPUT=0
    # Terraform and Atmos shall find neither an account nor this machine's settings.
    unset AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CA_BUNDLE TF_DATA_DIR TF_PLUGIN_CACHE_DIR
    export AWS_EC2_METADATA_DISABLED=true
    # Most of these programs live for seconds, and the schema that they load is garbage for the most part: collected less often, Terraform
    # and the provider take a fifth to a third less processor time. Terraform grows to half a gigabyte, and the provider to less than one.
    export GOGC=400
    if [ -n "$real" ]; then attach "$work" "$real" -debug; else stub "$work"; fi
    cd "$work/provision"
    "$@"
}

# attach FOLDER PROVIDER [ARG…]: has it say where it listens, which is in that folder.
attach() {
    local log=$1/provider.log
    : >"$log"
    TMPDIR=$1 "${@:2}" >"$log" 2>&1 &
    server=$!
    until TF_REATTACH_PROVIDERS=$(sed -n "s/.*TF_REATTACH_PROVIDERS='\(.*\)'.*/\1/p" "$log") && [ -n "$TF_REATTACH_PROVIDERS" ]; do
        kill -0 $server || { cat "$log" >&2 && exit 1; }
        sleep 0.2
    done
    export TF_REATTACH_PROVIDERS
}

# stub FOLDER: attaches one that knows the types which provision/ names.
stub() {
    local python=$T0RN_CACHE/provider-$aws_version/bin/python types
    "$T0RN_ROOT/tests/tools/setup" provider
    mapfile -t types < <(find "$1/provision" -name '*.tf' -print0 |
        xargs -0 sed -nE 's/^ *(resource|data) +"(aws_[a-z0-9_]+)".*/\1.\2/p; s/^ *mock_(resource|data) +"(aws_[a-z0-9_]+)".*/\1.\2/p' |
        sed 's/^resource\.//' | sort -u)
    "$python" "$T0RN_ROOT/tests/infrastructure/aws/schema.py" "$T0RN_CACHE/provider-$aws_version/schema" "$1/schema.pb" "${types[@]}"
    attach "$1" "$python" -u "$T0RN_ROOT/tests/infrastructure/aws/provider.py" "$1/schema.pb" --dev
}

main "$@"
