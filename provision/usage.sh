# shellcheck shell=bash
# Help of the scripts here and in packer/: the comment at the head of each.

usage() {
    sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0"
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
