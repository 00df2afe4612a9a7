# shellcheck shell=bash
# How the scripts here and in packer/ speak, and their help: the comment at the head of each.

say() {
    echo "${0##*/}: $*"
}

usage() {
    sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0"
}

# needed PROGRAM…: ends the script where one is missing.
needed() {
    local program
    for program; do
        command -v "$program" >/dev/null || { echo "${0##*/}: $program is not installed" >&2; exit 2; }
    done
}

# misused WHAT: ends the script where an argument is missing or unknown.
misused() {
    echo "${0##*/}: $*" >&2
    usage >&2
    exit 2
}

# A sourced file has the arguments of the script.
case ${1:-} in
-h | --help) usage && exit ;;
esac
