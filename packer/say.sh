# shellcheck shell=bash
# How a step of the pipeline speaks, and ends. Its help is the comment at its head.

say() {
    echo "${0##*/}: $*"
}

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# Before anything else can be wrong.
# shellcheck source=provision/usage.sh
. "${BASH_SOURCE[0]%/*}/../provision/usage.sh"
[[ ${1:-} != -* ]] || misused "$1 is no option"
