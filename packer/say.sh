# shellcheck shell=bash
# How a step of the pipeline speaks, and ends. Its help is the comment at its head.

say() {
    echo "${0##*/}: $*"
}

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

usage() {
    sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0"
}

# misused WHAT: ends the script where an argument is missing or unknown.
misused() {
    echo "${0##*/}: $*" >&2
    usage >&2
    exit 2
}

# Before anything else can be wrong. A sourced file has the arguments of the script.
case ${1:-} in
-h | --help) usage && exit ;;
-*) misused "$1 is no option" ;;
esac
