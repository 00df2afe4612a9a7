# shellcheck shell=bash
# How a step of the pipeline ends. It speaks as the scripts of provision/ do, and has its help at its head, too.

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# Before anything else can be wrong.
# shellcheck source=provision/usage.sh
. "${BASH_SOURCE[0]%/*}/../provision/usage.sh"
[[ ${1:-} != -* ]] || misused "$1 is no option"
